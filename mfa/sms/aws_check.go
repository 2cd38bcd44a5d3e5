package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/parola-id/parola/mfa"
)

const awsCredentials = "access_key_id and secret_access_key, and that they may call sms-voice in this region"

// Check looks at the account, the origination identity, the way that events take to us, and the callback URL. It sends
// nothing.
func (a *AWS) Check(ctx context.Context) []mfa.Finding {
	return []mfa.Finding{a.checkAccount(ctx), a.checkIdentity(ctx), a.checkEvents(ctx), a.callbackFinding()}
}

func (a *AWS) checkAccount(ctx context.Context) mfa.Finding {
	const name = "account"
	var account struct {
		AccountAttributes []struct{ Name, Value string }
	}
	if status := a.describe(ctx, "DescribeAccountAttributes", nil, &account); status != http.StatusOK {
		return a.unanswered(name, status, awsCredentials)
	}
	for _, attribute := range account.AccountAttributes {
		if attribute.Name == "ACCOUNT_TIER" && attribute.Value == "SANDBOX" {
			return a.bad(name, "it is in the sandbox", "Ask AWS for production access: the sandbox sends to verified numbers only.")
		}
	}
	return a.good(name, "the credentials are accepted")
}

// checkIdentity looks for what sends among the numbers, pools and sender ids of the account, by its name, id or ARN.
func (a *AWS) checkIdentity(ctx context.Context) mfa.Finding {
	const name = "origination identity"
	identity := a.account.OriginationIdentity
	action := "DescribePhoneNumbers"
	switch {
	case strings.HasPrefix(identity, "pool-") || strings.Contains(identity, ":pool/"):
		action = "DescribePools"
	case !strings.HasPrefix(identity, "+") && !strings.HasPrefix(identity, "phone-") && !strings.Contains(identity, ":phone-number/"):
		action = "DescribeSenderIds"
	}
	var all struct {
		NextToken    string
		PhoneNumbers []struct{ PhoneNumber, PhoneNumberId, PhoneNumberArn, Status string }
		Pools        []struct{ PoolId, PoolArn, Status string }
		SenderIds    []struct{ SenderId, SenderIdArn string }
	}
	if status := a.describe(ctx, action, map[string]any{"MaxResults": 100}, &all); status != http.StatusOK {
		return a.unanswered(name, status, awsCredentials)
	}
	found := map[string]string{} // how it stands with each, by all of its names
	for _, n := range all.PhoneNumbers {
		found[n.PhoneNumber], found[n.PhoneNumberId], found[n.PhoneNumberArn] = n.Status, n.Status, n.Status
	}
	for _, p := range all.Pools {
		found[p.PoolId], found[p.PoolArn] = p.Status, p.Status
	}
	for _, s := range all.SenderIds {
		found[s.SenderId], found[s.SenderIdArn] = "ACTIVE", "ACTIVE"
	}
	switch status, known := found[identity]; {
	case known && status == "ACTIVE":
		return a.good(name, "active")
	case known:
		return a.bad(name, "it is "+word(status), "Wait until AWS has set it up, or choose another one.")
	case all.NextToken != "":
		return a.doubtful(name, "it is not among the first hundred of the account", "Look it up in the console.")
	}
	return a.bad(name, "the account has none such in this region", "Set origination_identity to a number, sender id or pool of this account and region.")
}

// checkEvents looks whether the configuration set sends the events of our messages to our topic.
func (a *AWS) checkEvents(ctx context.Context) mfa.Finding {
	const name = "events"
	if a.topic == nil {
		return a.doubtful(name, "no receipt comes", "Set configuration_set and topic_arn, and subscribe the callback URL to that topic.")
	}
	var sets struct {
		ConfigurationSets []struct {
			EventDestinations []struct {
				Enabled            bool
				MatchingEventTypes []string
				SnsDestination     *struct{ TopicArn string }
			}
		}
	}
	names := map[string]any{"ConfigurationSetNames": []string{a.account.ConfigurationSet}}
	switch status := a.describe(ctx, "DescribeConfigurationSets", names, &sets); status {
	case http.StatusOK:
	case http.StatusNotFound:
		return a.bad(name, "there is no such configuration set", "Make it, with an SNS event destination, or correct configuration_set.")
	default:
		return a.unanswered(name, status, awsCredentials)
	}
	for _, set := range sets.ConfigurationSets {
		for _, d := range set.EventDestinations {
			all := slices.Contains(d.MatchingEventTypes, "ALL") || slices.Contains(d.MatchingEventTypes, "TEXT_ALL")
			if d.Enabled && d.SnsDestination != nil && d.SnsDestination.TopicArn == a.account.TopicARN {
				if !all {
					return a.doubtful(name, "not all events of texts go to the topic", "Let the event destination match TEXT_ALL.")
				}
				return a.good(name, "they go to the topic")
			}
		}
	}
	return a.bad(name, "the configuration set does not send them to the topic", "Add an enabled SNS event destination with topic_arn to it.")
}

// describe makes a call that changes nothing. AWS answers 400 to wrong credentials and missing rights too; they are told
// apart by the exception.
func (a *AWS) describe(ctx context.Context, action string, members map[string]any, out any) (status int) {
	if members == nil {
		members = map[string]any{}
	}
	req, err := a.request(action, members)
	if err != nil {
		return 0
	}
	answer, err := mfa.Call(ctx, a.httpClient, req)
	if err != nil {
		return 0
	}
	if answer.Status == http.StatusOK && json.Unmarshal(answer.Body, out) == nil {
		return http.StatusOK
	}
	var e awsException
	if json.Unmarshal(answer.Body, &e) != nil || e.Type == "" {
		return 0
	}
	switch code := e.code(a.codes); {
	case code == "AccessDeniedException":
		return http.StatusForbidden
	case code == "ResourceNotFoundException":
		return http.StatusNotFound
	case a.codes[code].Scope == mfa.ScopeCarrier && a.codes[code].Class == mfa.ClassConfig:
		return http.StatusUnauthorized
	}
	return answer.Status
}

package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
)

const (
	awsService = "sms-voice"
	// AWS takes a time to live between these.
	leastAWSValidity = 5 * time.Second
	mostAWSValidity  = 72 * time.Hour
)

// AWSConfig says which AWS account sends, as whom, and where its events come from.
type AWSConfig struct {
	Config
	Region          string
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken belongs to temporary credentials.
	SessionToken string
	// OriginationIdentity is a number, sender id or pool: by itself, its id or its ARN.
	OriginationIdentity string
	// ConfigurationSet sends the events of our messages to the SNS topic TopicARN, which pushes to CallbackURL. Both or none;
	// without them no receipt comes.
	ConfigurationSet string
	TopicARN         string
	// CertHosts are hosts, with their ports, that may stand in for Amazon's where a notification names the address of its
	// certificate or of its confirmation: for tests. On loopback they may speak plain http.
	CertHosts []string
	Clock     clock.Clock
}

// AWS sends passcodes through AWS End User Messaging. It implements mfa.Channel.
type AWS struct {
	carrier
	account AWSConfig
	topic   *snsTopic
}

var _ mfa.Channel = (*AWS)(nil)

var (
	awsRegion   = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
	awsTopicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
)

// NewAWS returns a channel through AWS, or says what is missing in the configuration.
func NewAWS(c AWSConfig) (*AWS, error) {
	if c.BaseURL == "" {
		c.BaseURL = "https://" + awsService + "." + c.Region + awsDomain(c.Region)
	}
	var w wants
	c.Config.check(&w)
	w.that(awsRegion.MatchString(c.Region), "set the region, such as eu-central-1")
	w.that(c.AccessKeyID != "" && c.SecretAccessKey != "", "set the access key id and the secret access key")
	w.that(c.OriginationIdentity != "", "set the origination identity: a number, sender id or pool")
	w.that((c.ConfigurationSet == "") == (c.TopicARN == ""), "set the configuration set and the topic's ARN, or none of them")
	w.that(c.TopicARN == "" || awsTopicARN.MatchString(c.TopicARN), "the topic's ARN looks like arn:aws:sns:eu-central-1:123456789012:name")
	w.that(c.Clock != nil, "a clock is required")
	if err := w.err("aws"); err != nil {
		return nil, err
	}
	a := &AWS{carrier: newCarrier("aws", c.Config, AWSCodes()), account: c}
	if c.TopicARN != "" {
		a.topic = newSNSTopic(c.TopicARN, c.CertHosts, a.httpClient, c.Clock)
	}
	return a, nil
}

// awsDomain is Amazon's domain in a region.
func awsDomain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return ".amazonaws.com.cn"
	}
	return ".amazonaws.com"
}

// awsContext is our own mark in the context of a message, which comes back with every event.
const awsContext = "delivery"

// Send implements mfa.Channel.
func (a *AWS) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := a.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	req, err := a.request("SendTextMessage", map[string]any{
		"DestinationPhoneNumber": m.To.Reveal(), "OriginationIdentity": a.account.OriginationIdentity, "MessageBody": text,
		"MessageType": "TRANSACTIONAL", "TimeToLive": validity(m.ValidFor, time.Second, leastAWSValidity, mostAWSValidity),
		"Context": map[string]string{awsContext: m.DeliveryID}, "ConfigurationSetName": a.account.ConfigurationSet,
	})
	if err != nil {
		return mfa.Sent{}, err
	}
	answer, err := mfa.Call(ctx, a.httpClient, req)
	if err != nil {
		return mfa.Sent{}, err
	}
	return a.read(answer)
}

// request makes a signed call of an action. Members without a value are left out.
func (a *AWS) request(action string, members map[string]any) (*http.Request, error) {
	for name, value := range members {
		if value == "" {
			delete(members, name)
		}
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", action, err)
	}
	req, err := http.NewRequest(http.MethodPost, a.cfg.BaseURL+"/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "PinpointSMSVoiceV2."+action)
	keys := awsKeys{id: a.account.AccessKeyID, secret: a.account.SecretAccessKey, session: a.account.SessionToken}
	keys.sign(req, body, a.account.Region, awsService, a.account.Clock.Now())
	return req, nil
}

// awsException is AWS's no.
type awsException struct {
	Type   string `json:"__type"`
	Reason string
	Fields []struct{ Name string }
}

// code is the most telling of what an exception says: the field at fault where it is the number, the reason where the table
// has it, or its name.
func (e awsException) code(codes map[string]mfa.Code) string {
	for _, f := range e.Fields {
		if f.Name == awsNumberField {
			return awsNumberField
		}
	}
	if _, known := codes[e.Reason]; known {
		return e.Reason
	}
	return wordOrNone(e.Type[strings.LastIndexByte(e.Type, '#')+1:]) // a namespace may stand before the name
}

// read tells from an answer whether the message was taken. A fault of AWS itself (5xx) leaves the outcome unknown.
func (a *AWS) read(answer mfa.Answer) (mfa.Sent, error) {
	var parsed struct {
		MessageID string `json:"MessageId"`
		awsException
	}
	if json.Unmarshal(answer.Body, &parsed) != nil {
		return mfa.Sent{}, notInTheBook(answer)
	}
	switch {
	case answer.Status == http.StatusOK && parsed.MessageID != "":
		return mfa.Sent{MessageID: parsed.MessageID}, nil
	case answer.Status >= 400 && answer.Status <= 499 && parsed.Type != "":
		return mfa.Sent{}, a.refused(parsed.code(a.codes))
	default:
		return mfa.Sent{}, notInTheBook(answer)
	}
}

package sms

import (
	"context"
	"net/http"
	"net/url"
	"regexp"

	"github.com/parola-id/parola/mfa"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// Check looks at the account, its balance, the sender and the callback URL. It sends nothing.
func (t *Twilio) Check(ctx context.Context) []mfa.Finding {
	return []mfa.Finding{t.checkAccount(ctx), t.checkBalance(ctx), t.checkSender(ctx), t.callbackFinding()}
}

// checkAccount asks with the auth token, also when sends use an API key: it is what verifies callbacks.
func (t *Twilio) checkAccount(ctx context.Context) mfa.Finding {
	const name = "account"
	var account struct{ Status, Type string }
	req, err := http.NewRequest(http.MethodGet, t.resource+".json", nil)
	if err != nil {
		return t.bad(name, "its address cannot be made", "Check the base URL.")
	}
	req.SetBasicAuth(t.account.AccountSID, t.account.AuthTokens[0])
	switch status := t.ask(ctx, req, &account); {
	case status != http.StatusOK:
		return t.unanswered(name, status, "account_sid and auth_token on the first page of Twilio's console")
	case account.Status != "active":
		return t.bad(name, "it is "+word(account.Status), "Open Twilio's console: it says why, and what they want.")
	case account.Type == "Trial":
		return t.doubtful(name, "it is a trial account", "Upgrade it: a trial account sends to verified numbers only.")
	}
	return t.good(name, "active")
}

func (t *Twilio) checkBalance(ctx context.Context) mfa.Finding {
	const name = "balance"
	var balance struct{ Balance, Currency string }
	req, err := http.NewRequest(http.MethodGet, t.resource+"/Balance.json", nil)
	if err != nil {
		return t.bad(name, "its address cannot be made", "Check the base URL.")
	}
	t.authenticate(req)
	if status := t.ask(ctx, req, &balance); status != http.StatusOK {
		return t.unanswered(name, status, "the auth token or the API key that sends")
	}
	return t.balance(name, balance.Balance, balance.Currency)
}

// checkSender looks for the sending number among those of the account. An alphanumeric sender id belongs to no account, and
// a messaging service lives at another address of Twilio.
func (t *Twilio) checkSender(ctx context.Context) mfa.Finding {
	const name = "sender"
	switch {
	case t.account.MessagingServiceSID != "":
		return t.good(name, "chosen by a messaging service, which was not looked at")
	case !e164.MatchString(t.account.From):
		return t.good(name, "alphanumeric; whether each country takes it was not looked at")
	}
	var numbers struct {
		List []struct {
			Capabilities struct{ SMS bool }
		} `json:"incoming_phone_numbers"`
	}
	req, err := http.NewRequest(http.MethodGet, t.resource+"/IncomingPhoneNumbers.json?PhoneNumber="+url.QueryEscape(t.account.From), nil)
	if err != nil {
		return t.bad(name, "its address cannot be made", "Check the base URL.")
	}
	t.authenticate(req)
	switch status := t.ask(ctx, req, &numbers); {
	case status != http.StatusOK:
		return t.unanswered(name, status, "the auth token or the API key that sends")
	case len(numbers.List) == 0:
		return t.bad(name, "the number is not one of the account's", "Set from to a number of this account, or buy it.")
	case !numbers.List[0].Capabilities.SMS:
		return t.bad(name, "the number cannot send SMS", "Choose one of the account's numbers that can.")
	}
	return t.good(name, "a number of the account that can send SMS")
}

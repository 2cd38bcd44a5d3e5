package sms

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/parola-id/parola/mfa"
)

// Check looks at the account's balance, the sender and the callback URL. It sends nothing.
func (v *Vonage) Check(ctx context.Context) []mfa.Finding {
	if v.account.APISecret == "" {
		return []mfa.Finding{
			v.doubtful("account", "sends are signed, and without the API secret nothing can be looked at", "Set api_secret, or look in Vonage's dashboard."),
			v.callbackFinding(),
		}
	}
	return []mfa.Finding{v.checkBalance(ctx), v.checkSender(ctx), v.callbackFinding()}
}

func (v *Vonage) checkBalance(ctx context.Context) mfa.Finding {
	const name = "balance"
	var account struct{ Value float64 }
	if status := v.get(ctx, "/account/get-balance", &account); status != http.StatusOK {
		return v.unanswered(name, status, "api_key and api_secret in Vonage's dashboard")
	}
	return v.balance(name, strconv.FormatFloat(account.Value, 'f', -1, 64), "EUR")
}

func (v *Vonage) checkSender(ctx context.Context) mfa.Finding {
	const name = "sender"
	number := strings.TrimPrefix(v.account.From, "+")
	if !e164.MatchString("+" + number) {
		return v.good(name, "alphanumeric; whether each country takes it was not looked at")
	}
	var owned struct {
		Numbers []struct {
			MSISDN   string
			Features []string
		}
	}
	if status := v.get(ctx, "/account/numbers?pattern="+url.QueryEscape(number), &owned); status != http.StatusOK {
		return v.unanswered(name, status, "api_key and api_secret in Vonage's dashboard")
	}
	for _, n := range owned.Numbers {
		switch {
		case n.MSISDN != number:
		case !slices.Contains(n.Features, "SMS"):
			return v.bad(name, "the number cannot send SMS", "Choose one of the account's numbers that can.")
		default:
			return v.good(name, "a number of the account that can send SMS")
		}
	}
	return v.bad(name, "the number is not one of the account's", "Set from to a number of this account, or buy it.")
}

func (v *Vonage) get(ctx context.Context, path string, out any) (status int) {
	req, err := http.NewRequest(http.MethodGet, v.cfg.BaseURL+path, nil)
	if err != nil {
		return 0
	}
	req.SetBasicAuth(v.account.APIKey, v.account.APISecret)
	return v.ask(ctx, req, out)
}

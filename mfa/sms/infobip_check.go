package sms

import (
	"context"
	"net/http"
	"strconv"

	"github.com/parola-id/parola/mfa"
)

// Check looks at the account's balance and the callback URL. It sends nothing. What senders an account has, Infobip tells
// to the portal alone.
func (i *Infobip) Check(ctx context.Context) []mfa.Finding {
	return []mfa.Finding{
		i.checkBalance(ctx),
		i.good("sender", "not looked at: the portal tells which ones the account has"),
		i.callbackFinding(),
	}
}

func (i *Infobip) checkBalance(ctx context.Context) mfa.Finding {
	const name = "balance"
	var account struct {
		Balance  float64
		Currency string
	}
	req, err := http.NewRequest(http.MethodGet, i.cfg.BaseURL+"/account/1/balance", nil)
	if err != nil {
		return i.bad(name, "its address cannot be made", "Check the base URL.")
	}
	i.authenticate(req)
	if status := i.ask(ctx, req, &account); status != http.StatusOK {
		return i.unanswered(name, status, "api_key in Infobip's portal, and base_url: each account has its own")
	}
	return i.balance(name, strconv.FormatFloat(account.Balance, 'f', -1, 64), account.Currency)
}

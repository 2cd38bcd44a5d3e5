package sms

import (
	"context"
	"net/http"
	"net/url"

	"github.com/parola-id/parola/mfa"
)

// Check looks whether the gateway takes our credentials, where the configuration says how to ask, and at the addresses.
// It sends nothing.
func (g *Gateway) Check(ctx context.Context) []mfa.Finding {
	findings := []mfa.Finding{g.checkCredentials(ctx), g.transportFinding("Use the gateway's https address.")}
	if len(g.receipt.Outcomes) == 0 {
		return append(findings, g.doubtful("receipts", "none are configured, so nobody learns whether an SMS arrived",
			"Describe the gateway's receipts under sms.gateway.receipt."))
	}
	return append(findings, g.callbackFinding())
}

func (g *Gateway) checkCredentials(ctx context.Context) mfa.Finding {
	const name = "credentials"
	if g.checkURL == nil {
		return g.doubtful(name, "not tried: the configuration does not say how",
			"Set sms.gateway.check_url to an address that answers 200 to these credentials and changes nothing, such as the balance.")
	}
	account := values{
		"username": {text: g.account.Username}, "password": {text: g.account.Password}, "token": {text: g.account.Token},
	}
	req, err := http.NewRequest(http.MethodGet, g.checkURL.fill(account), nil)
	if err != nil {
		return g.bad(name, "check_url cannot be used", "Give it as an absolute URL.")
	}
	for field, t := range g.request.headers {
		req.Header.Set(field, t.fill(account))
	}
	g.authenticate(req)
	switch answer, err := mfa.Call(ctx, g.httpClient, req); {
	case err != nil:
		return g.unanswered(name, 0, "")
	case answer.Status == http.StatusOK:
		return g.good(name, "accepted")
	default:
		return g.unanswered(name, answer.Status, "the credentials under sms.gateway")
	}
}

// transportFinding looks at who could read credentials and passcodes on their way.
func (c carrier) transportFinding(advice string) mfa.Finding {
	const name = "address"
	u, err := url.Parse(c.cfg.BaseURL)
	switch {
	case err != nil:
		return c.bad(name, "it is not a URL", "Set the carrier's URL.")
	case u.Scheme == "https" || isLoopback(u.Hostname()):
		return c.good(name, "nobody can listen in")
	default:
		return c.doubtful(name, "credentials and passcodes travel in plain http", advice)
	}
}

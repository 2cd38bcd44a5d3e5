package sms

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parola-id/parola/mfa"
)

// ask makes a call that changes nothing and decodes the answer into out, for Check. The status is 0 when there was no
// answer, or none that could be read.
func (c carrier) ask(ctx context.Context, req *http.Request, out any) (status int) {
	answer, err := mfa.Call(ctx, c.httpClient, req)
	if err != nil || answer.Status == http.StatusOK && json.Unmarshal(answer.Body, out) != nil {
		return 0
	}
	return answer.Status
}

func (c carrier) good(name, detail string) mfa.Finding {
	return mfa.Finding{Name: c.name + ": " + name, Status: mfa.FindingOK, Detail: detail}
}

func (c carrier) doubtful(name, detail, advice string) mfa.Finding {
	return mfa.Finding{Name: c.name + ": " + name, Status: mfa.FindingWarning, Detail: detail, Advice: advice}
}

func (c carrier) bad(name, detail, advice string) mfa.Finding {
	return mfa.Finding{Name: c.name + ": " + name, Status: mfa.FindingFailed, Detail: detail, Advice: advice}
}

// unanswered is the finding about a call that was not answered with 200: the credentials are wrong, they may not look, or
// nobody answered as the carrier does.
func (c carrier) unanswered(name string, status int, credentials string) mfa.Finding {
	switch status {
	case http.StatusUnauthorized:
		return c.bad(name, c.name+" does not accept the credentials", "Check "+credentials+".")
	case http.StatusForbidden:
		return c.doubtful(name, "these credentials may send, perhaps, but may not look", "Allow them to read, or check by hand in the carrier's console.")
	case 0:
		return c.bad(name, "no answer that "+c.name+" would give", "Check the base URL and that this machine reaches it: firewall, DNS, proxy.")
	default:
		return c.bad(name, c.name+" answered "+strconv.Itoa(status), "Try again; when it stays so, look at the carrier's status page.")
	}
}

// callbackFinding looks at the address that receipts come to.
func (c carrier) callbackFinding() mfa.Finding {
	const name = "callback URL"
	u, err := url.Parse(c.cfg.CallbackURL)
	switch {
	case err != nil:
		return c.bad(name, "it is not a URL", "Set the issuer to this server's public https address.")
	case u.Scheme == "https":
		return c.good(name, c.cfg.CallbackURL)
	case isLoopback(u.Hostname()):
		return c.doubtful(name, "only a carrier on this machine can reach it", "Serve Parola at a public https address.")
	default:
		return c.bad(name, "receipts would come over plain http", "Serve Parola at a public https address.")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// balance is the finding about an account's money.
func (c carrier) balance(name, amount, currency string) mfa.Finding {
	value, err := strconv.ParseFloat(amount, 64)
	switch {
	case err != nil:
		return c.doubtful(name, "it cannot be read", "Look at it in the carrier's console.")
	case value <= 0:
		return c.bad(name, "nothing is left of it", "Pay money in, and turn on automatic recharging.")
	}
	return c.good(name, strconv.FormatFloat(value, 'f', 2, 64)+" "+word(currency))
}

// word keeps a carrier's word short and plain before a terminal shows it.
func word(s string) string {
	clean := make([]rune, 0, len(s))
	for _, r := range s {
		if len(clean) < 40 && (r == '-' || r == '_' || r == ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			clean = append(clean, r)
		}
	}
	return string(clean)
}

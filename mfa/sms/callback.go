package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// answerWithin is how long a carrier is kept waiting (WH-04).
	answerWithin = time.Second
	// smallCallback is more than a usual one has. Anybody can make us hold a larger one before we know who sent it: each
	// carrier has places for a few, and the others are asked to come again (DOS-08).
	smallCallback = 64 << 10
	largeAtOnce   = 8
)

// receiver stores reports; its error means that they should come again.
type receiver = func(context.Context, []mfa.Report) error

// rejection is why a callback is not taken: the status of the answer, and a short word for the counter (WH-03).
type rejection struct {
	status int
	reason string
}

// reader says whether a callback is the carrier's own, and what it reports. It is called with the body, of which at most
// limit bytes are read because it is held before anybody knows who sent it.
type reader func(r *http.Request, body []byte) ([]mfa.Report, *rejection)

// handler is the frame of every carrier's callback URL.
func (c carrier) handler(receive receiver, read reader, limit int64, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		refuse := func(status int, reason string) {
			c.cfg.Rejected(r.Context(), reason)
			w.WriteHeader(status)
		}
		if limit > smallCallback && (r.ContentLength < 0 || r.ContentLength > smallCallback) {
			select {
			case c.large <- struct{}{}:
				defer func() { <-c.large }()
			default:
				w.Header().Set("Retry-After", "5")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		body, ok := mfa.ReadCallback(w, r, limit, refuse)
		if !ok {
			return
		}
		reports, rejected := read(r, body)
		if rejected != nil {
			refuse(rejected.status, rejected.reason)
			return
		}
		w.WriteHeader(c.receive(r.Context(), receive, reports))
	})
}

// receive hands reports on and says what to answer.
func (c carrier) receive(ctx context.Context, receive receiver, reports []mfa.Report) (status int) {
	for i := range reports {
		reports[i].Channel, reports[i].Carrier = mfa.SMS, c.name
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := receive(ctx, reports); err != nil {
		c.cfg.Log.Error("store sms receipt", "carrier", c.name, "err", err)
		return http.StatusServiceUnavailable
	}
	return http.StatusNoContent
}

// token proves to us that a callback about a delivery answers a message that we sent, where the carrier signs nothing.
// Whoever reads one, in a log or at the carrier, can speak of that one message only.
func (c carrier) token(secret, deliveryID string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("parola receipt\n" + c.name + "\n" + deliveryID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// tokenFits says whether one of the secrets made the token. All are tried, so that the time does not tell which one.
func (c carrier) tokenFits(secrets []string, deliveryID, token string) bool {
	fits := 0
	for _, secret := range secrets {
		fits |= subtle.ConstantTimeCompare([]byte(c.token(secret, deliveryID)), []byte(token))
	}
	return fits == 1
}

func isType(r *http.Request, want string) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == want
}

// readForm reads a form in a body.
func readForm(r *http.Request, body []byte) (url.Values, error) {
	if !isType(r, "application/x-www-form-urlencoded") {
		return nil, errors.New("not a form")
	}
	return url.ParseQuery(string(body))
}

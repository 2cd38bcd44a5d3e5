package whatsapp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

const (
	// maxWebhook is what Meta sends at most.
	maxWebhook = 3 << 20
	// smallWebhook is more than a usual one has. Larger ones must be read before their signature can be checked, so that
	// anybody can make us hold them: only a few are, and the others are asked to come again (DOS-08).
	smallWebhook = 64 << 10
	largeAtOnce  = 8
	// answerWithin is how long Meta is kept waiting; a batch that is not stored by then is sent again and goes on from
	// there, because what was stored is a duplicate (WH-04).
	answerWithin = time.Second
	// maxHandshake bounds the challenge of the handshake, which is repeated to the caller.
	maxHandshake = 256
)

// Handler is Meta's callback URL: the handshake by GET, notifications by POST (WH-01). What Meta says of messages goes to
// receive, what it says of our account, number and template to hear; an error of either means that it could not be
// stored and should come again.
func (c *Channel) Handler(receive func(context.Context, []mfa.Report) error, hear func(context.Context, []mfa.Bulletin) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch r.Method {
		case http.MethodGet:
			c.handshake(w, r)
		case http.MethodPost:
			c.notification(w, r, receive, hear)
		default:
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

func (c *Channel) handshake(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	token, challenge := query.Get("hub.verify_token"), query.Get("hub.challenge")
	if query.Get("hub.mode") != "subscribe" || !sameSecret(token, c.cfg.VerifyToken) || len(challenge) > maxHandshake {
		c.cfg.Rejected(r.Context(), "handshake")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	// As plain text and never sniffed: it repeats what the caller sent.
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, challenge)
}

// sameSecret compares hashes, so that not even the length shows.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (c *Channel) notification(w http.ResponseWriter, r *http.Request, receive func(context.Context, []mfa.Report) error, hear func(context.Context, []mfa.Bulletin) error) {
	refuse := func(status int, reason string) {
		c.cfg.Rejected(r.Context(), reason)
		w.WriteHeader(status)
	}
	signature, given := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	if !given {
		refuse(http.StatusUnauthorized, "signature_missing") // before the body is read: it costs the sender more than us
		return
	}
	if r.ContentLength < 0 || r.ContentLength > smallWebhook {
		select {
		case c.large <- struct{}{}:
			defer func() { <-c.large }()
		default:
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	body, ok := mfa.ReadCallback(w, r, maxWebhook, refuse)
	if !ok {
		return
	}
	if !c.signed(body, signature) {
		refuse(http.StatusForbidden, "signature_wrong")
		return
	}
	said, err := c.parse(body)
	if err != nil {
		// Meta signed something that cannot be read. Sending it again for seven days would not help: take it and tell.
		refuse(http.StatusOK, "unreadable")
		return
	}
	if len(said.reports)+len(said.bulletins) > mfa.MaxReports {
		refuse(http.StatusRequestEntityTooLarge, "too_many_updates")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := said.tell(ctx, receive, hear); err != nil {
		c.cfg.Log.Error("store webhook", "reports", len(said.reports), "bulletins", len(said.bulletins), "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// signed says whether one of the app secrets made the signature over the raw bytes. All secrets are tried, so that the
// time does not tell which one is in use.
func (c *Channel) signed(body []byte, signature string) bool {
	given, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	ok := 0
	for _, secret := range c.cfg.AppSecrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		ok |= subtle.ConstantTimeCompare(mac.Sum(nil), given)
	}
	return ok == 1
}

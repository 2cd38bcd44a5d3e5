package session

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// MaxRequests is how many AuthRequests one browser may have under way: a tab each, and some forgotten ones.
const MaxRequests = 10

func (m *Manager) requestPrefix() string { return m.cookieName("request-") }

// NewRequestCookie makes the secret that ties an AuthRequest to the browser: 256 bits, in a cookie of that request's own
// so that tabs do not disturb each other, and the keyed hash for AuthRequest.BrowserHash. The cookie lives as long as
// the request: on a phone, opening WhatsApp may end the browser in between.
func (m *Manager) NewRequestCookie(id string, expires time.Time) (*http.Cookie, []byte) {
	var b [32]byte
	rand.Read(b[:])
	value := base64.RawURLEncoding.EncodeToString(b[:])
	return m.requestCookie(id, value, expires), decodeHash(m.Keys.Hash(secret.TokenHash, requestValue(id, value)))
}

func (m *Manager) requestCookie(id, value string, expires time.Time) *http.Cookie {
	// The expiry in front lets TrimRequestCookies tell the oldest; nothing is decided by it.
	dated := strconv.FormatInt(expires.Unix(), 36) + "." + value
	return m.cookie(m.requestPrefix()+id, dated, max(expires.Sub(m.Clock.Now()), time.Second))
}

// CheckRequest says whether r comes from the browser that holds the current secret of a. The comparison takes constant
// time.
func (m *Manager) CheckRequest(r *http.Request, a storage.AuthRequest) bool {
	c, err := r.Cookie(m.requestPrefix() + a.ID)
	if err != nil || len(c.Value) > 64 || len(a.BrowserHash) == 0 {
		return false
	}
	_, value, _ := strings.Cut(c.Value, ".")
	matched := 0
	for _, hash := range m.Keys.Hashes(secret.TokenHash, requestValue(a.ID, value)) {
		matched |= subtle.ConstantTimeCompare(decodeHash(hash), a.BrowserHash)
	}
	return matched == 1
}

// KeepRequestCookie gives the cookie of an AuthRequest that was answered another end, so that this browser alone can ask for
// the answer again until then. r must have passed CheckRequest.
func (m *Manager) KeepRequestCookie(r *http.Request, id string, until time.Time) *http.Cookie {
	c, err := r.Cookie(m.requestPrefix() + id)
	if err != nil {
		return m.ClearRequestCookie(id)
	}
	_, value, _ := strings.Cut(c.Value, ".")
	return m.requestCookie(id, value, until)
}

// ClearRequestCookie removes the cookie of an AuthRequest that is over.
func (m *Manager) ClearRequestCookie(id string) *http.Cookie {
	return m.cookie(m.requestPrefix()+id, "", -1)
}

// TrimRequestCookies returns the cookies that remove the oldest AuthRequest secrets of a browser that holds more than
// MaxRequests, so that forgotten tabs never make its requests too large to serve.
func (m *Manager) TrimRequestCookies(r *http.Request) []*http.Cookie {
	var held []*http.Cookie
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, m.requestPrefix()) {
			held = append(held, c)
		}
	}
	if len(held) <= MaxRequests {
		return nil
	}
	slices.SortStableFunc(held, func(a, b *http.Cookie) int { return cmp.Compare(expiry(a), expiry(b)) })
	var trimmed []*http.Cookie
	for _, c := range held[:len(held)-MaxRequests] {
		trimmed = append(trimmed, m.cookie(c.Name, "", -1))
	}
	return trimmed
}

// expiry is the date in a request cookie, 0 for one that we did not make.
func expiry(c *http.Cookie) int64 {
	dated, _, _ := strings.Cut(c.Value, ".")
	at, err := strconv.ParseInt(dated, 36, 64)
	if err != nil {
		return 0
	}
	return at
}

// requestValue binds the secret to its AuthRequest: a cookie renamed for another request matches nothing.
func requestValue(id, value string) string { return "auth-request|" + id + "|" + value }

func decodeHash(hash string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(hash)
	if err != nil {
		panic("session: secret.Keys.Hash is not base64url: " + err.Error())
	}
	return b
}

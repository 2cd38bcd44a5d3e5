package webapp

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/oauth2"
)

// The names under which a browser's session keeps things.
const (
	keyAccount     = "account"
	keyLogins      = "logins"
	keyLogoutState = "logout_state"
)

// maxPendingLogins bounds what one browser can leave behind by starting logins and not finishing them. More than one
// is kept, or the second tab would break the first.
const maxPendingLogins = 5

// account is the person signed in to this browser. Tokens stay on the server; the browser holds a session id.
type account struct {
	IDToken      string          `json:"id_token"` // as received: logout sends it back as a hint
	Claims       json.RawMessage `json:"claims"`   // the verified payload of IDToken
	Name         string          `json:"name"`     // to greet with: what the userinfo endpoint told, if it did
	AccessToken  string          `json:"access_token"`
	RefreshToken string          `json:"refresh_token"`
	Expiry       time.Time       `json:"expiry"` // of the access token; zero when the provider gave none
	Refreshed    *refreshRecord  `json:"refreshed,omitempty"`
	Payments     []payment       `json:"payments,omitempty"`
}

func (acct *account) setTokens(token *oauth2.Token) {
	acct.AccessToken, acct.Expiry = token.AccessToken, token.Expiry
	if token.RefreshToken != "" {
		acct.RefreshToken = token.RefreshToken
	}
}

// pendingLogin is what must be remembered between sending the browser to the provider and seeing it again.
type pendingLogin struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // PKCE
	Next     string `json:"next"`     // our page to return to

	Expect expectation `json:"expect"`
}

// newSessions keeps sessions in memory: a restart signs everybody out, and a second process would know nobody.
func newSessions(redirect *url.URL) *scs.SessionManager {
	sessions := scs.New()
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = time.Hour
	sessions.HashTokenInStore = true
	sessions.Cookie.Persist = false
	// Lax, not Strict: the way back from the provider is a cross-site navigation and must find the session.
	sessions.Cookie.SameSite = http.SameSiteLaxMode
	sessions.Cookie.Name = "conto"
	if redirect.Scheme == "https" {
		sessions.Cookie.Name = "__Host-conto"
		sessions.Cookie.Secure = true
	} else if port := redirect.Port(); port != "" {
		// Cookies do not know ports: on loopback every program of the machine shares the jar.
		sessions.Cookie.Name = "conto_" + port
	}
	return sessions
}

// account returns nil when nobody is signed in.
func (a *app) account(ctx context.Context) *account {
	stored := a.sessions.GetBytes(ctx, keyAccount)
	if stored == nil {
		return nil
	}
	var acct account
	if err := json.Unmarshal(stored, &acct); err != nil {
		a.cfg.Log.Error("read a session", "err", err)
		return nil
	}
	return &acct
}

func (a *app) putAccount(ctx context.Context, acct *account) error {
	return a.put(ctx, keyAccount, acct)
}

// addPendingLogin remembers a login; the oldest of too many is forgotten.
func (a *app) addPendingLogin(ctx context.Context, login pendingLogin) error {
	logins := append(a.pendingLogins(ctx), login)
	if len(logins) > maxPendingLogins {
		logins = logins[len(logins)-maxPendingLogins:]
	}
	return a.put(ctx, keyLogins, logins)
}

// takePendingLogin returns the login that was started with state in this browser, once.
func (a *app) takePendingLogin(ctx context.Context, state string) (pendingLogin, bool) {
	logins := a.pendingLogins(ctx)
	for i, login := range logins {
		if login.State == state {
			left := append(logins[:i:i], logins[i+1:]...)
			return login, a.put(ctx, keyLogins, left) == nil
		}
	}
	return pendingLogin{}, false
}

func (a *app) pendingLogins(ctx context.Context) []pendingLogin {
	var logins []pendingLogin
	if stored := a.sessions.GetBytes(ctx, keyLogins); stored != nil {
		if err := json.Unmarshal(stored, &logins); err != nil {
			a.cfg.Log.Error("read a session", "err", err)
		}
	}
	return logins
}

func (a *app) put(ctx context.Context, key string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("save %s in the session: %w", key, err)
	}
	a.sessions.Put(ctx, key, encoded)
	return nil
}

// oneAtATime lets one request of a session wait for another. scs loads a session before the handler and saves it
// after, so of two at once the last would win; and a refresh token presented twice costs the whole login (the
// provider must take it for stolen). It works within one process; several would need a lock in their shared store.
func (a *app) oneAtATime(next http.Handler) http.Handler {
	var lanes [256]sync.Mutex
	seed := maphash.MakeSeed()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(a.sessions.Cookie.Name); err == nil {
			lane := &lanes[maphash.String(seed, cookie.Value)%uint64(len(lanes))]
			lane.Lock()
			defer lane.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

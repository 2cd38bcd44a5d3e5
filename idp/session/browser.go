package session

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// A browser remembers the last few persons who signed in with it, so that wrong passwords typed elsewhere cannot lock
// them out here (PW-15). The cookie names nobody: its entries are keyed hashes that differ from browser to browser, and
// it gives no access to anything.
const (
	rememberedPersons = 5
	rememberFor       = 365 * 24 * time.Hour
)

// knownBrowser is the content of the cookie: "KEY.BROWSER.entry,entry.MAC".
type knownBrowser struct {
	keyID   string
	id      string
	entries []string
}

// KnownBrowser returns the identifier of the browser when this person has signed in with it before, otherwise "".
func (m *Manager) KnownBrowser(r *http.Request, personID string) string {
	b, ok := m.readBrowser(r)
	if !ok || personID == "" || !slices.Contains(b.entries, m.browserEntry(b, personID)) {
		return ""
	}
	return b.id
}

// RememberBrowser returns the cookie that makes this browser a known one of the person, and still of the others it
// knew before, up to five.
func (m *Manager) RememberBrowser(r *http.Request, personID string) *http.Cookie {
	b, ok := m.readBrowser(r)
	if !ok || m.Keys.Superseded(b.keyID) {
		b = knownBrowser{keyID: m.Keys.ID(), id: storage.NewID()}
	}
	entry := m.browserEntry(b, personID)
	entries := []string{entry}
	for _, e := range b.entries {
		if e != entry && len(entries) < rememberedPersons {
			entries = append(entries, e)
		}
	}
	b.entries = entries
	return m.cookie(m.cookieName("browser"), b.text()+"."+m.browserMAC(b.keyID, "cookie", b.text()), rememberFor)
}

func (b knownBrowser) text() string {
	return b.keyID + "." + b.id + "." + strings.Join(b.entries, ",")
}

// readBrowser returns the content of a cookie that we made, with a key that is still configured.
func (m *Manager) readBrowser(r *http.Request) (knownBrowser, bool) {
	c, err := r.Cookie(m.cookieName("browser"))
	if err != nil || len(c.Value) > 512 {
		return knownBrowser{}, false
	}
	parts := strings.Split(c.Value, ".")
	if len(parts) != 4 {
		return knownBrowser{}, false
	}
	b := knownBrowser{keyID: parts[0], id: parts[1], entries: strings.Split(parts[2], ",")}
	mac := m.browserMAC(b.keyID, "cookie", b.text())
	if mac == "" || !hmac.Equal([]byte(mac), []byte(parts[3])) {
		return knownBrowser{}, false
	}
	return b, true
}

func (m *Manager) browserEntry(b knownBrowser, personID string) string {
	return m.browserMAC(b.keyID, "person", b.id+"|"+personID)
}

// browserMAC is empty when the key is not configured any more.
func (m *Manager) browserMAC(keyID, use, text string) string {
	mac, err := m.Keys.MAC(secret.Browser, keyID, []byte(use), []byte(text))
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(mac[:18])
}

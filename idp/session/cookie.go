package session

import (
	"net/http"
	"time"
)

// cookieName is the full name of one of our cookies. Over https the __Host- prefix makes browsers refuse a cookie that
// a sibling domain or a plain http page planted; on loopback cookies are shared by all ports, so the name carries ours.
func (m *Manager) cookieName(kind string) string {
	if m.Secure {
		return "__Host-parola-" + kind
	}
	return "parola-" + m.Port + "-" + kind
}

// cookie has the attributes of SES-01. A life of zero makes it end with the browser; a negative one removes it.
func (m *Manager) cookie(name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: m.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	switch {
	case life < 0:
		c.MaxAge = -1
	case life > 0:
		c.MaxAge = int((life + time.Second - 1) / time.Second)
	}
	return c
}

// ClearCookie removes the session's cookie by expiry (SES-11).
func (m *Manager) ClearCookie() *http.Cookie { return m.cookie(m.scs.Cookie.Name, "", -1) }

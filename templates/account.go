package templates

import (
	"html/template"
	"io"
	"time"
)

// Consent asks whether a client may have what it requests. It posts FieldDecision.
type Consent struct {
	Action string
	Client Client
	// RedirectHost is where the answer goes: what a person can check when the name is invented.
	RedirectHost string
	// Scopes as requested. Standard ones are told in words, others by name.
	Scopes []string
	// Lasts is how long the grant lives; 0 is until it is withdrawn.
	Lasts time.Duration
}

// Render writes the page to w in the language of v.
func (p Consent) Render(w io.Writer, t *Templates, v View) error { return t.render(w, v, "consent", p) }

// ScopeLine is one line of what is allowed: a message, or the bare name of a scope we have no words for.
type ScopeLine struct{ Key, Name string }

// ScopeLines are the scopes in the order requested, each once.
func (p Consent) ScopeLines() []ScopeLine {
	keys := map[string]string{
		"openid": "scope.openid", "profile": "scope.profile", "email": "scope.email", "phone": "scope.phone",
		"address": "scope.address", "offline_access": "scope.offline_access",
	}
	seen := make(map[string]bool, len(p.Scopes))
	var lines []ScopeLine
	for _, s := range p.Scopes {
		if !seen[s] {
			lines = append(lines, ScopeLine{Key: keys[s], Name: s})
		}
		seen[s] = true
	}
	return lines
}

// Days is Lasts in whole days, at least one; 0 when there is no end.
func (p Consent) Days() int {
	if p.Lasts <= 0 {
		return 0
	}
	return max(1, int(p.Lasts/(24*time.Hour)))
}

// SelectAccount asks whether to go on as View.Person or as somebody else. It posts FieldDecision.
type SelectAccount struct {
	Action string
	Client Client
}

// Render writes the page to w in the language of v.
func (p SelectAccount) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "select_account", p)
}

// LogoutConfirm asks whether to sign out. It posts FieldDecision.
type LogoutConfirm struct {
	Action string
	// Client is the application that asked; its Name may be empty.
	Client Client
}

// Render writes the page to w in the language of v.
func (p LogoutConfirm) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "logout_confirm", p)
}

// SignedOut says that the session is over.
type SignedOut struct {
	Client Client
	// ContinueURL is a validated post-logout address of the client; empty for no link.
	ContinueURL template.URL
}

// Render writes the page to w in the language of v.
func (p SignedOut) Render(w io.Writer, t *Templates, v View) error {
	return t.render(w, v, "signed_out", p)
}

// Home is the page at the root of the issuer, for those who arrive without an application.
type Home struct{}

// Render writes the page to w in the language of v.
func (p Home) Render(w io.Writer, t *Templates, v View) error { return t.render(w, v, "home", p) }

package oidc

import (
	"net/http"
	"testing"
)

func TestOA44_LoginToTokens(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	got := f.issued(c)
	if got.TokenType != "Bearer" || got.ExpiresIn != 600 || got.RefreshToken == "" || got.IDToken == "" {
		t.Errorf("got %+v", got)
	}
	again := f.token(refreshForm(c, got.RefreshToken))
	if again.status != http.StatusOK || again.RefreshToken == got.RefreshToken {
		t.Errorf("refresh: %+v", again)
	}
}

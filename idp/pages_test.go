package idp_test

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/parola-id/parola/idp"
	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/templates"
)

// TestOA24_ARepeatedFormIsSentByHand: one that sends itself would, at a reload, bring a client the AuthCode that it is redeeming.
func TestOA24_ARepeatedFormIsSentByHand(t *testing.T) {
	pages := newPages(t)
	for _, repeated := range []bool{false, true} {
		w := httptest.NewRecorder()
		pages.FormPost(w, httptest.NewRequest("GET", "/authorize/resume", nil), oidc.Answer{RedirectURI: "https://app.test/callback",
			Params: url.Values{"code": {"pc_1"}, "state": {"s"}}, FormPost: true, Repeated: repeated})
		body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
		if !strings.Contains(body, `name="code" value="pc_1"`) || !strings.Contains(body, "<button") ||
			!strings.Contains(policy, "https://app.test") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("repeated %t: policy %q, page %s", repeated, policy, body)
		}
		if scripts := strings.Contains(body, "<script"); scripts == repeated || strings.Contains(policy, "script-src") == repeated {
			t.Errorf("repeated %t: scripts %t, policy %q", repeated, scripts, policy)
		}
	}
}

func newPages(t *testing.T) *idp.Pages {
	t.Helper()
	pages, err := templates.New(templates.Config{Brand: templates.Brand{Name: "Parola"}})
	if err != nil {
		t.Fatal(err)
	}
	return idp.NewPages(pages, "", slog.New(slog.DiscardHandler))
}

package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// signIn runs a login against op with a browser that answers as op.answer says.
func signIn(t *testing.T, op *testOP, change func(*Config)) (string, error) {
	t.Helper()
	cfg := Config{
		Issuer:      op.issuer(),
		ClientID:    "cliapp",
		JSON:        true,
		Timeout:     5 * time.Second,
		OpenBrowser: func(u string) error { op.browse(t, u); return nil },
	}
	if change != nil {
		change(&cfg)
	}
	var stdout bytes.Buffer
	err := Run(t.Context(), cfg, &stdout)
	return stdout.String(), err
}

func TestRun_PrintsTheVerifiedClaims(t *testing.T) {
	out, err := signIn(t, newTestOP(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want the URL and the result:\n%s", len(lines), out)
	}
	var first struct {
		AuthorizationURL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(first.AuthorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		t.Errorf("authorization request lacks PKCE, state or nonce: %s", u)
	}
	if !strings.HasPrefix(q.Get("redirect_uri"), "http://127.0.0.1:") {
		t.Errorf("redirect_uri %q is not on loopback", q.Get("redirect_uri"))
	}
	var result Result
	if err := json.Unmarshal([]byte(lines[1]), &result); err != nil {
		t.Fatal(err)
	}
	if got := read(result.IDToken); got.Subject != "ada" || got.MFAChannel != "whatsapp" {
		t.Errorf("claims %+v", got)
	}
}

func TestRun_PrintsTheURLOnALineOfItsOwn(t *testing.T) {
	out, err := signIn(t, newTestOP(t), func(cfg *Config) { cfg.JSON = false })
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "http://") && strings.Contains(line, "/authorize?") {
			found++
		}
	}
	if found != 1 || !strings.Contains(out, "Signed in as ada") {
		t.Errorf("want one URL line and the outcome, got:\n%s", out)
	}
}

func TestRun_RefusesAnAnswerThatDoesNotVerify(t *testing.T) {
	tests := []struct {
		name   string
		op     func(*testOP)
		config func(*Config)
		want   string
	}{
		{"an ID token with another nonce", func(op *testOP) { op.claims["nonce"] = "stolen" }, nil, "nonce"},
		{"an ID token of another issuer", func(op *testOP) { op.claims["iss"] = "https://evil.example" }, nil, "issued by a different provider"},
		{"an ID token for another client", func(op *testOP) { op.claims["aud"] = "webapp" }, nil, "audience"},
		{"an expired ID token", func(op *testOP) { op.claims["exp"] = time.Now().Add(-time.Hour).Unix() }, nil, "expired"},
		{"an access token that does not match at_hash", func(op *testOP) { op.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, nil, "access token hash"},
		{"an ID token signed by somebody else", func(op *testOP) { op.signer = newKey(t) }, nil, "verify the ID token"},
		{"userinfo about another person", func(op *testOP) { op.userinfoSub = "bob" }, nil, "another person"},
		{"a lower acr than asked for", nil, func(cfg *Config) { cfg.ACRValues = []string{"urn:parola:acr:phone-no-sms"} }, "was not asked for"},
		{"a refusal", func(op *testOP) { op.answer.Del("code"); op.answer.Set("error", "access_denied") }, nil, "access_denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			if tt.op != nil {
				tt.op(op)
			}
			out, err := signIn(t, op, tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want it to speak of %q", err, tt.want)
			}
			if strings.Contains(out, "id_token") {
				t.Errorf("claims were printed all the same:\n%s", out)
			}
		})
	}
}

func TestRun_KeepsWaitingWhenSomebodyElseCallsThePort(t *testing.T) {
	tests := []struct {
		name  string
		param string
		value string
	}{
		{"with another state", "state", "guess"},
		{"with no state", "state", ""},
		{"with another iss", "iss", "https://evil.example"},
		{"with no iss though it was promised", "iss", ""},
		{"with no code", "code", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			op.intruder = url.Values{tt.param: {tt.value}}
			if _, err := signIn(t, op, nil); err != nil {
				t.Fatalf("the login of the right person failed: %v", err)
			}
			if op.intruderStatus != http.StatusBadRequest {
				t.Errorf("the intruder got %d", op.intruderStatus)
			}
		})
	}
}

func TestRun_EndsWhenNobodyComes(t *testing.T) {
	_, err := signIn(t, newTestOP(t), func(cfg *Config) {
		cfg.Timeout = 50 * time.Millisecond
		cfg.OpenBrowser = nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

func TestPrintable_TakesControlCharactersOut(t *testing.T) {
	if got := printable("acr\x1b[2Jphone\u009b1m"); got != "acr[2Jphone1m" {
		t.Errorf("got %q", got)
	}
}

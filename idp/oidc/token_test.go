package oidc

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

func TestLoginToTokensIsOneChainOfEvents(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	got := f.issued(c)
	if got.TokenType != "Bearer" || got.ExpiresIn != 600 || got.Scope != "openid offline_access" {
		t.Errorf("got %+v", got)
	}
	if !wellFormed(got.AccessToken, prefixAccess) || !wellFormed(got.RefreshToken, prefixRefresh) {
		t.Errorf("got %+v", got)
	}
	// OA-35
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", got.header)
	}
	token, grant := f.grantOf(got.AccessToken)
	chain, err := f.store.ListEvents(context.Background(), storage.EventFilter{CorrelationID: correlation})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range chain {
		kinds = append(kinds, e.Kind)
		if e.Kind != "oauth.authorize.started" && (e.GrantID != grant.ID || e.PersonID != f.person.ID || e.Channel != "whatsapp") {
			t.Errorf("event outside the chain: %+v", e)
		}
	}
	want := []string{"oauth.authorize.started", "oauth.code.issued", "oauth.code.redeemed", "oauth.token.issued"}
	slices.Sort(kinds)
	slices.Sort(want)
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v", kinds)
	}
	if issued := f.events("oauth.token.issued"); len(issued) != 1 || issued[0].JTI != token.JTI {
		t.Errorf("the event does not name the token: %+v", issued)
	}
}

func TestA1_ACodeLivesAMinute(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	inTime, late := f.login(authorizeForm(c)).Get("code"), f.login(authorizeForm(c)).Get("code")
	f.clock.Advance(time.Minute - time.Millisecond)
	if got := f.token(redeemForm(c, inTime)); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.Error)
	}
	f.clock.Advance(time.Millisecond)
	f.token(redeemForm(c, late)).refused(t, http.StatusBadRequest, "invalid_grant")
}

func TestOA24_A9_CodeReplayRevokesTokens(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	code := f.login(authorizeForm(c)).Get("code")
	first := f.token(redeemForm(c, code))
	f.token(redeemForm(c, code)).refused(t, http.StatusBadRequest, "invalid_grant")
	if _, grant := f.grantOf(first.AccessToken); grant.RevokedAt.IsZero() || grant.RevokeReason != "code_replayed" {
		t.Errorf("the grant lives on: %+v", grant)
	}
	f.token(refreshForm(c, first.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
	if got := f.events("oauth.code.replayed"); len(got) != 1 || got[0].Severity != "high" || got[0].ClientID != c.ID || got[0].Outcome != "failure" {
		t.Errorf("events %+v", got)
	}
}

func TestOA26_A30_AnotherClientsCodeChangesNothing(t *testing.T) {
	f := newFlow(t)
	victim, thief := f.addClient(nil), f.addClient(nil)
	code := f.login(authorizeForm(victim)).Get("code")
	f.token(redeemForm(thief, code)).refused(t, http.StatusBadRequest, "invalid_grant")
	first := f.token(redeemForm(victim, code))
	if first.status != http.StatusOK {
		t.Fatalf("the thief has burned the code: %s", first.Error)
	}
	f.token(redeemForm(thief, code)).refused(t, http.StatusBadRequest, "invalid_grant")
	f.token(refreshForm(thief, first.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
	if got := f.token(refreshForm(victim, first.RefreshToken)); got.status != http.StatusOK {
		t.Errorf("the thief has revoked the tokens: %s", got.Error)
	}
	if got := f.events("oauth.code.replayed"); len(got) != 0 {
		t.Errorf("events %+v", got)
	}
}

func TestA2_OA22_AWrongVerifierBurnsTheCode(t *testing.T) {
	f := newFlow(t)
	var clear string
	exempt := f.addClient(func(c *storage.Client) { clear, c.PKCEOptional = f.confidential(c), true })
	public := f.addClient(nil)
	for _, tt := range []struct {
		name   string
		client storage.Client
		first  []string
	}{
		{"a public client with another verifier", public, []string{"code_verifier", strings.Repeat("a", 43)}},
		{"a public client without a verifier", public, []string{"code_verifier", ""}},
		{"an exempt client with another verifier", exempt, []string{"client_secret", clear, "code_verifier", strings.Repeat("a", 43)}},
		{"an exempt client without a verifier", exempt, []string{"client_secret", clear, "code_verifier", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(f.events("oauth.code.pkce_mismatch"))
			code := f.login(authorizeForm(tt.client)).Get("code")
			f.token(redeemForm(tt.client, code, tt.first...)).refused(t, http.StatusBadRequest, "invalid_grant")
			if got := f.events("oauth.code.pkce_mismatch"); len(got) != before+1 || got[before].Severity != "high" {
				t.Errorf("%d events", len(got))
			}
			for _, verifier := range []string{"", testVerifier} { // the second try that A2 is about, and the right one
				second := append(slices.Clone(tt.first), "code_verifier", verifier)
				f.token(redeemForm(tt.client, code, second...)).refused(t, http.StatusBadRequest, "invalid_grant")
			}
		})
	}
}

func TestOA21_OA22_AnExemptClientWithoutPKCE(t *testing.T) {
	f := newFlow(t)
	var clear string
	c := f.addClient(func(c *storage.Client) { clear, c.PKCEOptional = f.confidential(c), true })
	without := authorizeForm(c, "code_challenge", "", "code_challenge_method", "")
	if got := f.token(redeemForm(c, f.login(without).Get("code"), "client_secret", clear, "code_verifier", "")); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.Error)
	}
	f.token(redeemForm(c, f.login(without).Get("code"), "client_secret", clear)).refused(t, http.StatusBadRequest, "invalid_grant")
}

func TestOA04_TheTokenRequestRepeatsTheRedirectURI(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://rp.example/other") })
	for _, uri := range []string{"", "https://rp.example/other", callback + "/"} {
		code := f.login(authorizeForm(c)).Get("code")
		f.token(redeemForm(c, code, "redirect_uri", uri)).refused(t, http.StatusBadRequest, "invalid_grant")
		f.token(redeemForm(c, code)).refused(t, http.StatusBadRequest, "invalid_grant") // it was burned
	}
}

func TestOA51_A8_ReuseOfARefreshTokenRevokesTheFamily(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	first := f.issued(c)
	second := f.token(refreshForm(c, first.RefreshToken))
	if second.status != http.StatusOK || second.RefreshToken == first.RefreshToken {
		t.Fatalf("got %+v", second)
	}
	f.token(refreshForm(c, first.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
	for _, access := range []string{first.AccessToken, second.AccessToken} {
		if token, _ := f.grantOf(access); token.RevokedAt.IsZero() {
			t.Error("an access token of the family lives on")
		}
	}
	f.token(refreshForm(c, second.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
	if got := f.events("oauth.token.reuse_detected"); len(got) != 1 || got[0].Severity != "high" || got[0].CorrelationID != correlation {
		t.Errorf("events %+v", got)
	}
}

func TestA7_OA54_TheIdleLifeSlidesInsideTheAbsoluteOne(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	start, longest := f.clock.Now(), newToken(prefixRefresh)
	got := f.issued(c)
	f.clock.Advance(14*24*time.Hour - time.Millisecond)
	for f.clock.Now().Before(start.Add(89 * 24 * time.Hour)) {
		if got = f.token(refreshForm(c, got.RefreshToken)); got.status != http.StatusOK {
			t.Fatalf("after %s: %s", f.clock.Now().Sub(start), got.Error)
		}
		f.clock.Advance(13 * 24 * time.Hour)
	}
	f.token(refreshForm(c, got.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant") // past 90 days
	last, err := f.store.Token(context.Background(), storage.RefreshToken, f.keys.Hash(secret.TokenHash, got.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := f.store.Grant(context.Background(), last.GrantID)
	if err != nil || !last.ExpiresAt.Equal(start.Add(90*24*time.Hour)) || !grant.RefreshUntil.Equal(last.ExpiresAt) {
		t.Errorf("the last token ends %s, the grant %s: %v", last.ExpiresAt, grant.RefreshUntil, err)
	}
	f.tx(func(ctx context.Context) error { // a row that says it lives longer than its grant
		last.Hash, last.ExpiresAt = f.keys.Hash(secret.TokenHash, longest), f.clock.Now().Add(time.Hour)
		return f.store.InsertTokens(ctx, last.Token)
	})
	f.token(refreshForm(c, longest)).refused(t, http.StatusBadRequest, "invalid_grant")

	got = f.issued(c)
	f.clock.Advance(14 * 24 * time.Hour)
	f.token(refreshForm(c, got.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant") // idle too long
}

func TestOA55_A27_BeforeEveryTokenTheGrantMustStillHold(t *testing.T) {
	for name, withdraw := range map[string]func(f *flow, c storage.Client, g storage.Grant){
		"the person is disabled": func(f *flow, _ storage.Client, _ storage.Grant) {
			f.person.DisabledAt = f.clock.Now()
			f.tx(func(ctx context.Context) error { return f.store.UpdatePerson(ctx, f.person) })
		},
		"the phone factor is disabled (OTP-23)": func(f *flow, _ storage.Client, _ storage.Grant) {
			f.tx(func(ctx context.Context) error {
				return f.store.PutPhone(ctx, storage.PhoneFactor{ID: storage.NewID(), PersonID: f.person.ID, Sealed: []byte("x"), Hash: "h",
					CreatedAt: f.clock.Now(), DisabledAt: f.clock.Now()})
			})
		},
		"the grant was withdrawn (OA-17)": func(f *flow, _ storage.Client, g storage.Grant) {
			f.tx(func(ctx context.Context) error {
				_, err := f.store.RevokeGrant(ctx, g.ID, "withdrawn", f.clock.Now())
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(nil)
			tokens := f.issued(c)
			_, grant := f.grantOf(tokens.AccessToken)
			withdraw(f, c, grant)
			f.token(refreshForm(c, tokens.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
			if got := f.events("oauth.token.reuse_detected"); len(got) != 0 {
				t.Errorf("a withdrawn grant is taken for theft: %+v", got)
			}
		})
		t.Run(name+" before the code is redeemed", func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(nil)
			code := f.login(authorizeForm(c)).Get("code")
			g, err := f.store.Grant(context.Background(), f.events("oauth.code.issued")[0].GrantID)
			if err != nil {
				t.Fatal(err)
			}
			withdraw(f, c, g)
			f.token(redeemForm(c, code)).refused(t, http.StatusBadRequest, "invalid_grant")
		})
	}
	t.Run("the client lost a scope", func(t *testing.T) {
		f := newFlow(t)
		c := f.addClient(nil)
		tokens := f.issued(c)
		c.Scopes = []string{"openid"}
		f.tx(func(ctx context.Context) error { return f.store.UpdateClient(ctx, c, f.clock.Now()) })
		f.token(refreshForm(c, tokens.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_scope")
	})
	t.Run("the client may no longer refresh", func(t *testing.T) {
		f := newFlow(t)
		c := f.addClient(nil)
		tokens := f.issued(c)
		c.GrantTypes = []string{"authorization_code"}
		f.tx(func(ctx context.Context) error { return f.store.UpdateClient(ctx, c, f.clock.Now()) })
		f.token(refreshForm(c, tokens.RefreshToken)).refused(t, http.StatusBadRequest, "unauthorized_client")
	})
}

func TestOA56_ARefreshMayNarrowItsScopeAndNeverWidenIt(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	tokens := f.issued(c, "scope", "openid offline_access read")
	scoped := func(token, scope string) url.Values {
		form := refreshForm(c, token)
		form.Set("scope", scope)
		return form
	}
	f.token(scoped(tokens.RefreshToken, "read profile")).refused(t, http.StatusBadRequest, "invalid_scope")
	narrow := f.token(scoped(tokens.RefreshToken, "read")) // the refusal did not cost the token
	if narrow.status != http.StatusOK || narrow.Scope != "read" || narrow.IDToken != "" {
		t.Fatalf("got %+v", narrow)
	}
	if token, _ := f.grantOf(narrow.AccessToken); !slices.Equal(token.Scopes, []string{"read"}) {
		t.Errorf("the access token has %v", token.Scopes)
	}
	if full := f.token(refreshForm(c, narrow.RefreshToken)); full.Scope != "openid offline_access read" {
		t.Errorf("the grant was narrowed for good: %+v", full)
	}
}

func TestOA50_WhoGetsARefreshToken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client func(*storage.Client)
		scope  string
		want   bool
	}{
		{"offline_access brings one", nil, "openid offline_access", true},
		{"without offline_access there is none", nil, "openid", false},
		{"a first-party client may always have one", func(c *storage.Client) { c.AlwaysRefresh = true }, "openid", true},
		{"a third party may not, whatever it registered", func(c *storage.Client) { c.AlwaysRefresh, c.FirstParty = true, false }, "openid", false},
		{"a client without the grant type has none", func(c *storage.Client) { c.GrantTypes = []string{"authorization_code"} }, "openid offline_access", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlow(t)
			c := f.addClient(tt.client)
			f.tx(func(ctx context.Context) error {
				return f.store.PutConsent(ctx, storage.Consent{PersonID: f.person.ID, ClientID: c.ID, Scopes: c.Scopes,
					GrantedAt: f.clock.Now(), ExpiresAt: f.clock.Now().Add(time.Hour)})
			})
			got := f.issued(c, "scope", tt.scope)
			if (got.RefreshToken != "") != tt.want {
				t.Errorf("refresh token: %v, want %v", got.RefreshToken != "", tt.want)
			}
		})
	}
}

func TestOA30_OA34_OA09_TokenRequestsThatAreRefused(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	form := redeemForm(c, "pc_x")
	for _, tt := range []struct {
		name                string
		method, query, kind string
		body                url.Values
		status              int
		code                string
	}{
		{"no grant_type", "POST", "", "", url.Values{"client_id": {c.ID}}, 400, "invalid_request"},
		{"the password grant", "POST", "", "", url.Values{"grant_type": {"password"}, "client_id": {c.ID}, "username": {"a"}, "password": {"b"}}, 400, "unsupported_grant_type"},
		{"two grant types in one", "POST", "", "", url.Values{"grant_type": {"authorization_code refresh_token"}, "client_id": {c.ID}}, 400, "unsupported_grant_type"},
		{"a grant type that is not the client's", "POST", "", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}}, 400, "unauthorized_client"},
		{"GET", "GET", "?" + form.Encode(), "", nil, 405, "invalid_request"},
		{"a parameter in the URL", "POST", "?code=x", "", form, 400, "invalid_request"},
		{"JSON", "POST", "", "application/json", form, 400, "invalid_request"},
		{"A6: a parameter twice", "POST", "", "", url.Values{"grant_type": {"authorization_code", "authorization_code"}, "client_id": {c.ID}}, 400, "invalid_request"},
		{"A17, A18: an unknown client", "POST", "", "", redeemForm(storage.Client{ID: "other", RedirectURIs: []string{callback}}, "pc_x"), 401, "invalid_client"},
		{"no code", "POST", "", "", redeemForm(c, ""), 400, "invalid_grant"},
		{"a code that was never issued", "POST", "", "", redeemForm(c, newToken(prefixAuthCode)), 400, "invalid_grant"},
		{"an access token for a code", "POST", "", "", redeemForm(c, newToken(prefixAccess)), 400, "invalid_grant"},
		{"a refresh token that was never issued", "POST", "", "", refreshForm(c, newToken(prefixRefresh)), 400, "invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, f.server.URL+"/token"+tt.query, strings.NewReader(tt.body.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			if tt.kind == "" {
				tt.kind = "application/x-www-form-urlencoded"
			}
			r.Header.Set("Content-Type", tt.kind)
			got := f.do(r)
			if got.StatusCode != tt.status || !strings.Contains(got.body, `"error":"`+tt.code+`"`) || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %s %q", got.Status, got.body)
			}
		})
	}
}

func TestOA42_NoTokenIsTakenForAnother(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	tokens := f.issued(c)
	for _, token := range []string{tokens.AccessToken, tokens.IDToken} {
		f.token(refreshForm(c, token)).refused(t, http.StatusBadRequest, "invalid_grant")
		f.token(redeemForm(c, token)).refused(t, http.StatusBadRequest, "invalid_grant")
	}
	f.token(redeemForm(c, tokens.RefreshToken)).refused(t, http.StatusBadRequest, "invalid_grant")
}

func TestOA82_A24_ATokenWithAnyOtherByteIsAnotherToken(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	tokens := f.issued(c)
	for i := range tokens.RefreshToken {
		changed := []byte(tokens.RefreshToken)
		if changed[i] = 'A'; tokens.RefreshToken[i] == 'A' {
			changed[i] = 'B'
		}
		f.token(refreshForm(c, string(changed))).refused(t, http.StatusBadRequest, "invalid_grant")
	}
	if got := f.token(refreshForm(c, tokens.RefreshToken)); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.Error)
	}
}

func TestClientCredentials(t *testing.T) {
	f := newFlow(t)
	var clear string
	c := f.addClient(func(c *storage.Client) {
		clear, c.GrantTypes, c.Audience = f.confidential(c), []string{"client_credentials"}, []string{"https://api.example", "https://b.example"}
	})
	form := func(pairs ...string) url.Values {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {clear}, "scope": {"read"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
	got := f.token(form())
	if got.status != http.StatusOK || got.Scope != "read" || got.RefreshToken != "" || got.IDToken != "" {
		t.Fatalf("got %+v", got)
	}
	token, grant := f.grantOf(got.AccessToken)
	if grant.PersonID != "" || grant.Login.ACR != "" || !slices.Equal(token.Audience, []string{"https://api.example"}) || !slices.Equal(token.Scopes, []string{"read"}) {
		t.Errorf("token %+v of grant %+v", token, grant)
	}
	f.token(form("scope", "write")).refused(t, http.StatusBadRequest, "invalid_scope")
	f.token(form("scope", "openid")).refused(t, http.StatusBadRequest, "invalid_scope")
	f.token(form("resource", "https://api.example/")).refused(t, http.StatusBadRequest, "invalid_target")
	if got := f.token(form("resource", "https://b.example")); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.Error)
	}
	public := f.addClient(func(c *storage.Client) { c.GrantTypes = []string{"client_credentials"} })
	got = f.token(url.Values{"grant_type": {"client_credentials"}, "client_id": {public.ID}, "scope": {"read"}})
	if got.status == http.StatusOK {
		t.Error("a public client gets tokens for itself")
	}
}

func TestOA43_ResourceOfATokenRequest(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(func(c *storage.Client) { c.Audience = []string{"https://api.example", "https://b.example"} })
	form := authorizeForm(c, "resource", "https://b.example")
	got := f.token(redeemForm(c, f.login(form).Get("code"), "resource", "https://b.example"))
	if token, _ := f.grantOf(got.AccessToken); !slices.Equal(token.Audience, []string{"https://b.example"}) {
		t.Errorf("the token is for %v", token.Audience)
	}
	f.token(redeemForm(c, f.login(form).Get("code"), "resource", "https://api.example")).refused(t, http.StatusBadRequest, "invalid_target")
}

func TestKEY06_A25_TokensOutliveARotationOfTheRoot(t *testing.T) {
	f := newFlow(t)
	c := f.addClient(nil)
	tokens, code := f.issued(c), f.login(authorizeForm(c)).Get("code")
	rotated, err := secret.New([]byte(strings.Repeat("s", secret.RootSize)), []byte(strings.Repeat("r", secret.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	config := f.provider.Config
	config.Keys = rotated
	next, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	*f.provider = *next
	f.keys = rotated
	if got := f.token(redeemForm(c, code)); got.status != http.StatusOK {
		t.Errorf("code: %d %s", got.status, got.Error)
	}
	if got := f.token(refreshForm(c, tokens.RefreshToken)); got.status != http.StatusOK {
		t.Errorf("refresh token: %d %s", got.status, got.Error)
	}
}

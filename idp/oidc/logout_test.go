package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

const goodbye = "https://rp.example/bye"

// signIn begins a session of the person and returns it with its cookie.
func (d *desk) signIn(personID string) (storage.Session, *http.Cookie) {
	d.Helper()
	facts := acr.Passcode(false)
	s := storage.Session{PersonID: personID, AuthTime: d.clock.Now(), ACR: facts.ACR, AMR: facts.AMR, Channel: facts.Channel}
	var cookie *http.Cookie
	d.tx(func(ctx context.Context) (err error) {
		s, cookie, err = d.sessions.Begin(ctx, s, session.Login{})
		return err
	})
	return s, cookie
}

// idToken is an ID token of the session's person for the client.
func (d *desk) idToken(c storage.Client, s storage.Session, typ, issuer string) string {
	d.Helper()
	token, err := d.signer.Sign(d.Context(), signing.ES256, typ, idTokenClaims{
		Issuer: issuer, Subject: s.PersonID, Audience: c.ID, SessionID: s.ID,
		IssuedAt: d.clock.Now().Unix(), ExpiresAt: d.clock.Now().Add(d.Lifetimes.IDToken).Unix(),
	})
	if err != nil {
		d.Fatal(err)
	}
	return token
}

// logout asks the end-session endpoint by GET; pairs are name and value.
func (d *desk) logout(cookie *http.Cookie, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	query := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		query.Add(pairs[i], pairs[i+1])
	}
	return d.serve(d.Logout, withCookie(httptest.NewRequest(http.MethodGet, deskIssuer+"/logout?"+query.Encode(), nil), cookie))
}

func withCookie(r *http.Request, cookie *http.Cookie) *http.Request {
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

// wantSession checks whether the session goes on, in the database and for its cookie.
func (d *desk) wantSession(s storage.Session, cookie *http.Cookie, want bool) {
	d.Helper()
	stored, err := d.store.Session(d.Context(), s.ID)
	if err != nil {
		d.Fatal(err)
	}
	_, err = d.sessions.Current(withCookie(httptest.NewRequest(http.MethodGet, "/", nil), cookie))
	if stored.EndedAt.IsZero() != want || (err == nil) != want {
		d.Errorf("session ended at %v, its cookie says %v; want alive %v", stored.EndedAt, err, want)
	}
}

func clearsCookie(w *httptest.ResponseRecorder) bool {
	for _, c := range w.Result().Cookies() {
		if strings.Contains(c.Name, "session") && c.MaxAge < 0 {
			return true
		}
	}
	return false
}

func TestOA92_AHintOfTheCurrentPersonEndsTheSessionAtOnce(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	for _, tt := range []struct {
		name     string
		params   []string
		location string
	}{
		{"and goes back with state", []string{"post_logout_redirect_uri", goodbye, "state", "a b&c"}, goodbye + "?state=a+b%26c"},
		{"and goes back without", []string{"post_logout_redirect_uri", goodbye}, goodbye},
		{"with the client named too", []string{"post_logout_redirect_uri", goodbye, "client_id", c.ID}, goodbye},
		{"and stays without an address", nil, ""},
		{"and stays at an unregistered address", []string{"post_logout_redirect_uri", goodbye + "/"}, ""},
		{"and stays at an address in another case", []string{"post_logout_redirect_uri", strings.ToUpper(goodbye)}, ""},
		{"and stays at an address with more to it", []string{"post_logout_redirect_uri", goodbye + "?x=1"}, ""},
		{"and stays at a login address", []string{"post_logout_redirect_uri", callback}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, cookie := d.signIn(d.person.ID)
			hint := d.idToken(c, s, typIDToken, deskIssuer)
			d.clock.Advance(2 * d.Lifetimes.IDToken) // an expired one is fine
			w := d.logout(cookie, append(tt.params, "id_token_hint", hint)...)
			d.wantSession(s, cookie, false)
			if !clearsCookie(w) || w.Header().Get("Location") != tt.location || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d to %q, want %q; headers %v", w.Code, w.Header().Get("Location"), tt.location, w.Header())
			}
			if tt.location != "" && w.Code != http.StatusSeeOther {
				t.Errorf("status %d, want 303", w.Code)
			}
			if tt.location == "" && !strings.HasPrefix(w.Body.String(), "signed_out "+c.ID) {
				t.Errorf("page %q", w.Body)
			}
		})
	}
}

func TestOA92_A22_InEveryOtherCaseThePersonIsAsked(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	other, _ := d.addClient(nil)
	disabled, _ := d.addClient(func(c *storage.Client) { c.Disabled = true })
	s, cookie := d.signIn(d.person.ID)
	stranger := storage.Session{ID: storage.NewID(), PersonID: storage.NewID()}
	unknown := storage.Client{ID: "nobody"}
	accessToken := d.addJWT(d.addGrant(c, nil), typAccessToken, deskIssuer)
	for name, params := range map[string][]string{
		"nothing at all":                 nil,
		"only a client":                  {"client_id", c.ID, "post_logout_redirect_uri", goodbye},
		"a hint of somebody else":        {"id_token_hint", d.idToken(c, stranger, typIDToken, deskIssuer)},
		"an access token as hint (A22)":  {"id_token_hint", accessToken},
		"a hint under another typ":       {"id_token_hint", d.idToken(c, s, "logout+jwt", deskIssuer)},
		"a hint of another issuer (A22)": {"id_token_hint", d.idToken(c, s, typIDToken, "https://other.example")},
		"a hint that was changed":        {"id_token_hint", d.idToken(c, s, typIDToken, deskIssuer) + "A"},
		"a hint of a removed client":     {"id_token_hint", d.idToken(unknown, s, typIDToken, deskIssuer)},
		"a hint of a disabled client":    {"id_token_hint", d.idToken(disabled, s, typIDToken, deskIssuer)},
		"an unknown client":              {"client_id", "no\x00body", "post_logout_redirect_uri", goodbye},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.logout(cookie, params...)
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "confirm ") {
				t.Errorf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
			}
			d.wantSession(s, cookie, true)
		})
	}
	w := d.logout(cookie, "client_id", other.ID, "id_token_hint", d.idToken(c, s, typIDToken, deskIssuer))
	if w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Body.String(), "page ") {
		t.Errorf("a hint of another client than client_id: %d %s", w.Code, w.Body)
	}
	w = d.logout(cookie, "client_id", c.ID, "client_id", other.ID)
	if w.Code != http.StatusBadRequest {
		t.Errorf("OA-09: a parameter twice: %d", w.Code)
	}
	d.wantSession(s, cookie, true)
}

// confirmation is the answer to the question, posted from our own page unless changed.
func confirmation(cookie *http.Cookie, query string, pairs ...string) *http.Request {
	r := withCookie(formRequest(pairs...), cookie)
	r.URL.Path, r.URL.RawQuery = "/base/logout", query
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func TestWEB01_TheConfirmationNeedsItsTokenAndOurOrigin(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	query := url.Values{"client_id": {c.ID}, "post_logout_redirect_uri": {goodbye}, "state": {"s"}}.Encode()
	s, cookie := d.signIn(d.person.ID)
	otherSession, otherCookie := d.signIn(d.person.ID)
	tokenOf := func(cookie *http.Cookie) string {
		w := d.logout(cookie, "client_id", c.ID)
		_, token, _ := strings.Cut(w.Body.String(), "\n")
		return token
	}
	token := tokenOf(cookie)
	crossSite := confirmation(cookie, query, "csrf", token, "decision", "sign-out")
	crossSite.Header.Set("Sec-Fetch-Site", "cross-site")
	foreignOrigin := confirmation(cookie, query, "csrf", token, "decision", "sign-out")
	foreignOrigin.Header.Del("Sec-Fetch-Site")
	foreignOrigin.Header.Set("Origin", "https://evil.example")
	for name, r := range map[string]*http.Request{
		"no token":                   confirmation(cookie, query, "decision", "sign-out"),
		"a made-up token":            confirmation(cookie, query, "csrf", "a.9999999999.b", "decision", "sign-out"),
		"a token with another end":   confirmation(cookie, query, "csrf", strings.Replace(token, ".1", ".2", 1), "decision", "sign-out"),
		"a token of another session": confirmation(cookie, query, "csrf", tokenOf(otherCookie), "decision", "sign-out"),
		"from another site":          crossSite,
		"from another origin":        foreignOrigin,
	} {
		t.Run(name, func(t *testing.T) {
			if w := d.serve(d.Logout, r); w.Code != http.StatusForbidden {
				t.Errorf("got %d %s, want 403", w.Code, w.Body)
			}
			d.wantSession(s, cookie, true)
		})
	}
	get := withCookie(httptest.NewRequest(http.MethodGet, deskIssuer+"/logout?csrf="+token+"&decision=sign-out", nil), cookie)
	if w := d.serve(d.Logout, get); !strings.HasPrefix(w.Body.String(), "confirm ") {
		t.Errorf("WEB-02: a GET with the token: %d %s", w.Code, w.Body)
	}
	w := d.serve(d.Logout, confirmation(cookie, query, "csrf", token, "decision", "stay"))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != deskIssuer+"/" {
		t.Errorf("to stay: %d to %q", w.Code, w.Header().Get("Location"))
	}
	d.wantSession(s, cookie, true)

	w = d.serve(d.Logout, confirmation(cookie, query, "csrf", token, "decision", "sign-out"))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != goodbye+"?state=s" {
		t.Errorf("confirmed: %d to %q", w.Code, w.Header().Get("Location"))
	}
	d.wantSession(s, cookie, false)
	d.wantSession(otherSession, otherCookie, true)
	d.clock.Advance(logoutTokenLife)
	stale := tokenOf(otherCookie)
	d.clock.Advance(logoutTokenLife)
	if w := d.serve(d.Logout, confirmation(otherCookie, "", "csrf", stale, "decision", "sign-out")); strings.Contains(w.Body.String(), "signed_out") {
		t.Errorf("a stale token: %d %s", w.Code, w.Body)
	}
}

func TestOA92_WithoutASessionThereIsNothingToAsk(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	hint := d.idToken(c, s, typIDToken, deskIssuer)
	d.tx(func(ctx context.Context) error { _, err := d.sessions.End(ctx, s.ID, "logout"); return err })
	w := d.logout(cookie, "id_token_hint", hint, "post_logout_redirect_uri", goodbye, "state", "s")
	if w.Header().Get("Location") != goodbye+"?state=s" || !clearsCookie(w) {
		t.Errorf("with a hint: %d to %q", w.Code, w.Header().Get("Location"))
	}
	w = d.logout(nil, "client_id", c.ID, "post_logout_redirect_uri", goodbye)
	if w.Header().Get("Location") != "" || w.Body.String() != "signed_out "+c.ID+" "+goodbye {
		t.Errorf("with a client_id that anyone can write: %d to %q, %q", w.Code, w.Header().Get("Location"), w.Body)
	}
	w = d.logout(nil, "post_logout_redirect_uri", "https://evil.example")
	if w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "evil") {
		t.Errorf("with an address alone: %d to %q, %q", w.Code, w.Header().Get("Location"), w.Body)
	}
}

func TestOA57_OA93_LogoutTakesTheGrantsOfTheSessionAlong(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	of := func(session string, scopes ...string) string {
		return d.addToken(d.addGrant(c, func(g *storage.Grant) { g.SessionID, g.Scopes = session, scopes }), storage.AccessToken)
	}
	another, _ := d.signIn(d.person.ID)
	online, offline, elsewhere := of(s.ID, "openid"), of(s.ID, "openid", "offline_access"), of(another.ID, "openid")
	d.logout(cookie, "id_token_hint", d.idToken(c, s, typIDToken, deskIssuer))
	d.wantAlive(online, false)
	d.wantAlive(offline, true)
	d.wantAlive(elsewhere, true)
	ended, revoked := d.events(audit.SessionEnded), d.events(audit.TokenRevoked)
	if len(ended) != 1 || ended[0].SessionID != s.ID || len(revoked) != 1 || revoked[0].SessionID != s.ID || revoked[0].GrantID == "" {
		t.Errorf("events %+v and %+v", ended, revoked)
	}
}

func TestOA37_ALogoutThatFailsEndsNothingByHalves(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	token := d.addToken(d.addGrant(c, func(g *storage.Grant) { g.SessionID = s.ID }), storage.AccessToken)
	for _, call := range []string{"Client", "InTx", "RevokeGrantsOf"} {
		d.faults.fail(call)
		w := d.logout(cookie, "id_token_hint", d.idToken(c, s, typIDToken, deskIssuer), "post_logout_redirect_uri", goodbye)
		if w.Code != http.StatusServiceUnavailable || clearsCookie(w) {
			t.Errorf("%s down: %d", call, w.Code)
		}
		d.faults.fail()
		d.wantSession(s, cookie, true)
		d.wantAlive(token, true)
	}
}

func TestLogoutByPostOfAClient(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	r := withCookie(formRequest("id_token_hint", d.idToken(c, s, typIDToken, deskIssuer), "post_logout_redirect_uri", goodbye), cookie)
	r.Header.Set("Sec-Fetch-Site", "cross-site") // RPL §2: the client's page posts it
	if w := d.serve(d.Logout, r); w.Code != http.StatusSeeOther || w.Header().Get("Location") != goodbye {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
	d.wantSession(s, cookie, false)
	if w := d.serve(d.Logout, httptest.NewRequest(http.MethodDelete, "/logout", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", w.Code)
	}
}

func TestOA92_APostFromAnotherSiteSignsNobodyOut(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	hint := d.idToken(c, s, typIDToken, deskIssuer)
	post := func(pairs ...string) *httptest.ResponseRecorder {
		r := formRequest(pairs...) // a browser sends no SameSite=Lax cookie along
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := d.serve(d.Logout, r)
		if clearsCookie(w) {
			t.Errorf("%v: the answer clears a cookie that was not sent: %v", pairs, w.Header())
		}
		d.wantSession(s, cookie, true)
		return w
	}
	for name, pairs := range map[string][]string{
		"nothing": nil, "a client_id": {"client_id", c.ID}, "a hint": {"id_token_hint", "made-up"},
	} {
		w := post(pairs...)
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), deskIssuer+"/logout?") {
			t.Errorf("%s: %d to %q, want the same request by GET", name, w.Code, w.Header().Get("Location"))
		}
	}
	if w := post("decision", "sign-out"); w.Code != http.StatusForbidden {
		t.Errorf("a forged answer to our page: %d", w.Code)
	}
	if w := d.logout(nil); clearsCookie(w) {
		t.Error("a GET without the cookie clears it")
	}

	w := post("id_token_hint", hint, "post_logout_redirect_uri", goodbye, "state", "s")
	r := withCookie(httptest.NewRequest(http.MethodGet, w.Header().Get("Location"), nil), cookie)
	if w = d.serve(d.Logout, r); w.Header().Get("Location") != goodbye+"?state=s" || !clearsCookie(w) {
		t.Errorf("a client's own post, by GET: %d to %q", w.Code, w.Header().Get("Location"))
	}
	d.wantSession(s, cookie, false)
}

func TestLOG01_RefusedLogoutConfirmationsAreToldWithinALimit(t *testing.T) {
	d := newDesk(t)
	_, cookie := d.signIn(d.person.ID)
	for range 50 {
		d.serve(d.Logout, confirmation(cookie, "", "decision", "sign-out"))
	}
	blocked := d.events(audit.CSRFBlocked)
	if len(blocked) < 1 || len(blocked) > 12 || blocked[0].Outcome != audit.Failure || blocked[0].Reason != "logout" {
		t.Errorf("%d events, the first %+v", len(blocked), blocked)
	}
}

func TestKEY04_KEY05_HintsAndTokensOfAKeyThatWasRotatedAndWithdrawn(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(nil)
	s, cookie := d.signIn(d.person.ID)
	hint, access := d.idToken(c, s, "JWT", deskIssuer), d.addJWT(d.addGrant(c, nil), typAccessToken, deskIssuer)
	signedOut := func(hint string) bool {
		t.Helper()
		return d.logout(nil, "id_token_hint", hint, "post_logout_redirect_uri", goodbye).Code == http.StatusSeeOther
	}
	if _, err := d.signer.Rotate(t.Context(), "cli", nil, true); err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(time.Second)
	if w := d.userInfoOf(access); w.Code != http.StatusOK {
		t.Errorf("after a rotation its access token gets %d %s", w.Code, w.Body)
	}
	if w := d.logout(cookie, "id_token_hint", hint, "post_logout_redirect_uri", goodbye); w.Code != http.StatusSeeOther {
		t.Errorf("after a rotation its hint gets %d %s", w.Code, w.Body)
	}
	d.wantSession(s, cookie, false)
	if !signedOut(hint) {
		t.Error("the hint is not accepted without a session")
	}
	keys, err := d.signer.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.State == storage.KeyPrevious {
			if _, err := d.signer.Withdraw(t.Context(), "cli", "a test", k.KID); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.clock.Advance(time.Second)
	d.wantNoToken(d.userInfoOf(access))
	if signedOut(hint) {
		t.Error("a hint of a withdrawn key sent the browser away")
	}
}

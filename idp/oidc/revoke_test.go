package oidc

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func (d *desk) revokeAs(c storage.Client, clientSecret string, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	return d.serve(d.Revoke, asClient(formRequest(pairs...), c, clientSecret))
}

func (d *desk) wantAlive(token string, want bool) {
	d.Helper()
	if alive := d.userInfoOf(token).Code == http.StatusOK; alive != want {
		d.Errorf("the access token works: %v, want %v", alive, want)
	}
}

func TestOA83_AnAccessTokenGoesAlone(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	g := d.addGrant(c, nil)
	token, sibling := d.addToken(g, storage.AccessToken), d.addToken(g, storage.AccessToken)
	signed := d.addJWT(g, typAccessToken, deskIssuer)
	for range 2 { // again is fine, and no second event
		if w := d.revokeAs(c, clientSecret, "token", token); w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	d.revokeAs(c, clientSecret, "token", signed, "token_type_hint", "refresh_token")
	d.wantAlive(token, false)
	d.wantAlive(signed, false)
	d.wantAlive(sibling, true)
	events := d.events(audit.TokenRevoked)
	if len(events) != 2 || events[0].JTI == "" || events[0].GrantID != g.ID || events[0].ClientID != c.ID || events[0].PersonID != d.person.ID {
		t.Errorf("events %+v", events)
	}
}

func TestOA84_ARefreshTokenTakesItsGrantAlong(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	g := d.addGrant(c, nil)
	access, refresh := d.addToken(g, storage.AccessToken), d.addToken(g, storage.RefreshToken)
	elsewhere := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	if w := d.revokeAs(c, clientSecret, "token", refresh, "token_type_hint", "nonsense"); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	d.wantAlive(access, false)
	d.wantAlive(elsewhere, true)
	stored, err := d.store.Grant(t.Context(), g.ID)
	if err != nil || stored.RevokedAt.IsZero() {
		t.Errorf("grant %+v, %v, want it revoked", stored, err)
	}
	if events := d.events(audit.TokenRevoked); len(events) != 1 || events[0].GrantID != g.ID {
		t.Errorf("events %+v", events)
	}
}

func TestOA83_UnknownTokensAreRevokedAlready(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	for _, token := range []string{"x", "a.b.c", newToken(prefixAccess), newToken(prefixRefresh), newToken(prefixAuthCode), "\x00"} {
		if w := d.revokeAs(c, clientSecret, "token", token); w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("%q: %d %s, want 200", token, w.Code, w.Body)
		}
	}
	w := d.revokeAs(c, clientSecret)
	d.wantRefused(w, http.StatusBadRequest, errInvalidRequest)
}

func TestOA83_A24_NobodyRevokesWhatIsNotTheirs(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	other, otherSecret := d.addClient(nil)
	g := d.addGrant(c, nil)
	access, refresh := d.addToken(g, storage.AccessToken), d.addToken(g, storage.RefreshToken)
	for _, token := range []string{access, refresh} {
		d.wantRefused(d.revokeAs(other, otherSecret, "token", token), http.StatusBadRequest, errInvalidGrant)
	}
	// Whoever reads the database holds hashes, which revoke nothing.
	for _, token := range []string{d.Keys.Hash("token-hash", access), prefixAccess + d.Keys.Hash("token-hash", access)} {
		d.revokeAs(c, clientSecret, "token", token)
	}
	d.wantAlive(access, true)
	if events := d.events(audit.TokenRevoked); len(events) != 0 {
		t.Errorf("events %+v, want none", events)
	}
}

func TestPublicClientsRevokeTheirOwnTokens(t *testing.T) {
	d := newDesk(t)
	c, _ := d.addClient(func(c *storage.Client) { c.AuthMethod, c.Secrets = methodNone, nil })
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	if w := d.serve(d.Revoke, formRequest("client_id", c.ID, "token", token)); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	d.wantAlive(token, false)
}

func TestOA37_AFailedRevocationIsNotReportedAsDone(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	token := d.addToken(d.addGrant(c, nil), storage.AccessToken)
	for _, call := range []string{"Token", "InTx"} {
		d.faults.fail(call)
		w := d.revokeAs(c, clientSecret, "token", token)
		d.wantOutage(w)
		d.wantRefused(w, http.StatusServiceUnavailable, errTemporarilyUnavailable)
	}
	d.faults.fail()
	d.wantAlive(token, true)
}

func TestOA83_EveryNodeSeesARevocation(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		here, there := newDeskOn(t, store), newDeskOn(t, store)
		c, clientSecret := here.addClient(nil)
		token := here.addToken(here.addGrant(c, nil), storage.AccessToken)
		there.wantAlive(token, true)
		here.revokeAs(c, clientSecret, "token", token)
		there.wantAlive(token, false)
	})
}

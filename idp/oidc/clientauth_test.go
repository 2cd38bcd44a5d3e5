package oidc

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// authenticate runs the client authentication of a machine endpoint and returns who was found, and the answer if nobody.
func (d *desk) authenticate(r *http.Request) (storage.Client, *httptest.ResponseRecorder) {
	d.Helper()
	var c storage.Client
	w := d.serve(func(w http.ResponseWriter, r *http.Request) {
		form, err := postForm(w, r)
		if err == nil {
			c, err = d.authenticateClient(r.Context(), r, form)
		}
		if err != nil {
			d.writeError(w, r, err)
		}
	}, r)
	return c, w
}

// wantRefused checks status and error code of a refusal.
func (d *desk) wantRefused(w *httptest.ResponseRecorder, status int, code string) {
	d.Helper()
	if got := d.body(w)["error"]; w.Code != status || got != code {
		d.Errorf("got %d %v, want %d %s", w.Code, got, status, code)
	}
}

func TestOA31_ExactlyTheRegisteredMethod(t *testing.T) {
	d := newDesk(t)
	key := newAssertionKey(t)
	methods := authMethods()
	clients, secrets := make(map[string]storage.Client), make(map[string]string)
	for _, method := range methods {
		clients[method], secrets[method] = d.addClient(func(c *storage.Client) {
			c.AuthMethod, c.JWKS = method, key.set(t)
		})
	}
	request := func(method string, c storage.Client, clientSecret string) *http.Request {
		switch method {
		case methodBasic:
			return asClient(formRequest(), c, clientSecret)
		case methodPost:
			return formRequest("client_id", c.ID, "client_secret", clientSecret)
		case methodPrivateKeyJWT:
			return assertionRequest(key.sign(t, d.assertionClaims(c)))
		}
		return formRequest("client_id", c.ID)
	}
	for _, registered := range methods {
		for _, used := range methods {
			c, w := d.authenticate(request(used, clients[registered], secrets[registered]))
			if registered == used {
				if c.ID != clients[registered].ID {
					t.Errorf("registered and used %s: %d %s", used, w.Code, w.Body)
				}
				continue
			}
			if c.ID != "" {
				t.Errorf("registered %s, used %s: accepted", registered, used)
			}
			d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
		}
	}
}

func TestOA31_TwoMethodsInOneRequestAreAnError(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	other, _ := d.addClient(nil)
	twice := asClient(formRequest(), c, clientSecret)
	twice.Header.Add("Authorization", twice.Header.Get("Authorization"))
	for name, r := range map[string]*http.Request{
		"header and secret":      asClient(formRequest("client_secret", clientSecret), c, clientSecret),
		"header and assertion":   asClient(formRequest("client_assertion", "x"), c, clientSecret),
		"secret and assertion":   formRequest("client_id", c.ID, "client_secret", "x", "client_assertion_type", assertionType),
		"two headers":            twice,
		"header and another id":  asClient(formRequest("client_id", other.ID), c, clientSecret),
		"a secret sent twice":    formRequest("client_id", c.ID, "client_secret", "a", "client_secret", "b"),
		"an unknown assertion":   formRequest("client_assertion", "x", "client_assertion_type", "saml"),
		"an assertion type only": formRequest("client_assertion_type", assertionType),
	} {
		t.Run(name, func(t *testing.T) {
			_, w := d.authenticate(r)
			d.wantRefused(w, http.StatusBadRequest, errInvalidRequest)
		})
	}
	if c2, w := d.authenticate(asClient(formRequest("client_id", c.ID), c, clientSecret)); c2.ID != c.ID {
		t.Errorf("the same id in header and body: %d %s", w.Code, w.Body)
	}
}

func TestOA36_WhatWasWrongIsNotTold(t *testing.T) {
	d := newDesk(t)
	good, clientSecret := d.addClient(nil)
	disabled, disabledSecret := d.addClient(func(c *storage.Client) { c.Disabled = true })
	poster, posterSecret := d.addClient(func(c *storage.Client) { c.AuthMethod = methodPost })
	public, _ := d.addClient(func(c *storage.Client) { c.AuthMethod, c.Secrets = methodNone, nil })
	unknown := storage.Client{ID: "nobody"}
	var first *httptest.ResponseRecorder
	for name, r := range map[string]*http.Request{
		"unknown client":        asClient(formRequest(), unknown, clientSecret),
		"an id no table holds":  asClient(formRequest(), storage.Client{ID: "no\x00body"}, clientSecret),
		"an endless id":         asClient(formRequest(), storage.Client{ID: strings.Repeat("a", 4000)}, clientSecret),
		"wrong secret":          asClient(formRequest(), good, clientSecret+"x"),
		"no secret":             asClient(formRequest(), good, ""),
		"an endless secret":     asClient(formRequest(), good, strings.Repeat("a", 4000)),
		"disabled client":       asClient(formRequest(), disabled, disabledSecret),
		"wrong method":          asClient(formRequest(), poster, posterSecret),
		"public client":         asClient(formRequest(), public, ""),
		"the hash as a secret":  asClient(formRequest(), good, good.Secrets[0].Hash),
		"not Basic at all":      withAuthorization(formRequest(), "Bearer "+clientSecret),
		"Basic without a colon": withAuthorization(formRequest(), "Basic "+base64.StdEncoding.EncodeToString([]byte(good.ID))),
	} {
		_, w := d.authenticate(r)
		d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
		if w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
		if first == nil {
			first = w
		} else if w.Body.String() != first.Body.String() || len(w.Header()) != len(first.Header()) {
			t.Errorf("%s: the answer differs:\n%s%s", name, w.Body, first.Body)
		}
	}
	_, w := d.authenticate(formRequest("client_id", good.ID, "client_secret", "wrong"))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	if w.Header().Get("WWW-Authenticate") != "" {
		t.Error("WWW-Authenticate though Basic was not used")
	}
}

func withAuthorization(r *http.Request, value string) *http.Request {
	r.Header.Set("Authorization", value)
	return r
}

func TestOA33_TwoSecretsAreValidWhileOneReplacesTheOther(t *testing.T) {
	d := newDesk(t)
	newer, hash := NewClientSecret(d.Keys)
	soon := d.clock.Now().Add(time.Hour)
	c, older := d.addClient(func(c *storage.Client) {
		c.Secrets[0].ExpiresAt = soon
		c.Secrets = append(c.Secrets, storage.ClientSecret{Hash: hash})
	})
	accepted := func(clientSecret string) bool {
		found, _ := d.authenticate(asClient(formRequest(), c, clientSecret))
		return found.ID == c.ID
	}
	if !accepted(older) || !accepted(newer) {
		t.Error("not both secrets are accepted")
	}
	d.clock.Advance(time.Hour)
	if accepted(older) {
		t.Error("the older secret is accepted after its end")
	}
	if !accepted(newer) {
		t.Error("the newer secret is no longer accepted")
	}
}

func TestKEY06_ClientSecretsOutliveAReplacementOfTheRoot(t *testing.T) {
	roots := secret.Roots{Current: []byte(strings.Repeat("n", secret.RootSize)), Previous: []byte(strings.Repeat("r", secret.RootSize))}
	derive := func(r secret.Roots) *secret.Keys {
		t.Helper()
		k, err := secret.Derive(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	old := d.Keys
	accepted := func(k *secret.Keys) {
		t.Helper()
		d.Keys = k
		if found, w := d.authenticate(asClient(formRequest(), c, clientSecret)); found.ID != c.ID {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		var err error
		if c, err = d.store.Client(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	accepted(old)
	if c.Secrets[0].KeyID != old.ID() {
		t.Errorf("a secret of the first release is not known to be of %s", old.ID())
	}
	fresh := derive(roots)
	accepted(fresh)
	if c.Secrets[0].KeyID != fresh.ID() {
		t.Error("what the previous key had hashed is not hashed anew")
	}
	written := c.UpdatedAt
	d.clock.Advance(time.Second)
	accepted(derive(secret.Roots{Current: roots.Previous, Next: roots.Current}))
	if !c.UpdatedAt.Equal(written) {
		t.Error("a node on the other side of the replacement wrote over what the next key had hashed")
	}
	accepted(derive(secret.Roots{Current: roots.Current}))
}

func TestA19_OnlyImportedSecretsAreHashedSlowly(t *testing.T) {
	d := newDesk(t)
	generated, clientSecret := d.addClient(nil)
	imported, _ := d.addClient(func(c *storage.Client) { c.Secrets = []storage.ClientSecret{{Hash: "slow:hunter2"}} })
	d.authenticate(asClient(formRequest(), generated, clientSecret))
	d.authenticate(asClient(formRequest(), generated, "wrong"))
	d.authenticate(asClient(formRequest(), storage.Client{ID: "nobody"}, "wrong"))
	d.authenticate(asClient(formRequest(), imported, strings.Repeat("x", maxSecret+1)))
	if d.slow.calls != 0 {
		t.Errorf("%d slow hashes for generated, unknown or overlong secrets", d.slow.calls)
	}
	if found, w := d.authenticate(asClient(formRequest(), imported, "hunter2")); found.ID != imported.ID {
		t.Errorf("the imported secret: %d %s", w.Code, w.Body)
	}
	_, w := d.authenticate(asClient(formRequest(), imported, "hunter3"))
	d.wantRefused(w, http.StatusUnauthorized, errInvalidClient)
	if d.slow.calls != 2 {
		t.Errorf("%d slow hashes, want one each", d.slow.calls)
	}
	d.slow.err = errors.New("the gate is full")
	_, w = d.authenticate(asClient(formRequest(), imported, "hunter2"))
	d.wantOutage(w)
}

func TestA18_OA37_AnOutageIsNotInvalidClient(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	for _, call := range []string{"Client", "InTx"} {
		d.faults.fail(call)
		_, w := d.authenticate(asClient(formRequest(), c, clientSecret+"x"))
		d.wantOutage(w)
		d.wantRefused(w, http.StatusServiceUnavailable, errTemporarilyUnavailable)
	}
	d.faults.fail()
	if found, _ := d.authenticate(asClient(formRequest(), c, clientSecret)); found.ID != c.ID {
		t.Error("not accepted after the outage")
	}
}

func TestFailedAuthenticationsAreRecordedInSamples(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(nil)
	for range 3 * failureEvents.Burst {
		d.authenticate(asClient(formRequest(), c, "wrong"))
	}
	events := d.events(audit.ClientAuthFail)
	if len(events) != failureEvents.Burst {
		t.Fatalf("%d events, want the burst of %d", len(events), failureEvents.Burst)
	}
	e := events[0]
	if e.ClientID != c.ID || e.Reason != reasonWrongSecret || e.Outcome != audit.Failure || e.CorrelationID != correlation {
		t.Errorf("event %+v", e)
	}
	d.authenticate(asClient(formRequest(), storage.Client{ID: clientSecret}, "x"))
	for _, e := range d.events(audit.ClientAuthFail) {
		if strings.Contains(e.ClientID+e.Reason, clientSecret) {
			t.Error("what was typed as a client id is recorded though no client has it (LOG-03)")
		}
	}
}

func TestOA30_CredentialsAreReadFromAFormPostAlone(t *testing.T) {
	d := newDesk(t)
	c, clientSecret := d.addClient(func(c *storage.Client) { c.AuthMethod = methodPost })
	form := url.Values{"client_id": {c.ID}, "client_secret": {clientSecret}, "token": {"x"}}.Encode()
	inURL := formRequest("token", "x")
	inURL.URL.RawQuery = form
	asJSON := httptest.NewRequest(http.MethodPost, deskIssuer, strings.NewReader(`{}`))
	asJSON.Header.Set("Content-Type", "application/json")
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"GET":  {httptest.NewRequest(http.MethodGet, deskIssuer+"?"+form, nil), http.StatusMethodNotAllowed},
		"PUT":  {httptest.NewRequest(http.MethodPut, deskIssuer, strings.NewReader(form)), http.StatusMethodNotAllowed},
		"URL":  {inURL, http.StatusBadRequest},
		"JSON": {asJSON, http.StatusBadRequest},
	} {
		for _, endpoint := range []http.HandlerFunc{d.Introspect, d.Revoke} {
			w := d.serve(endpoint, tt.r.Clone(t.Context()))
			if w.Code != tt.status || d.body(w)["error"] != errInvalidRequest {
				t.Errorf("%s: %d %s, want %d invalid_request", name, w.Code, w.Body, tt.status)
			}
		}
	}
}

func TestBasicHalvesAreFormEncoded(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		name, header, id, secret string
		ok                       bool
	}{
		{"plain", basic("id:secret"), "id", "secret", true},
		{"another case of the scheme", "bAsIc " + basic("id:secret")[6:], "id", "secret", true},
		{"escaped", basic("a%3Ab:p%2Bw%25"), "a:b", "p+w%", true},
		{"a plus is a space", basic("id:a+b"), "id", "a b", true},
		{"a colon in the secret", basic("id:a:b"), "id", "a:b", true},
		{"an empty secret", basic("id:"), "id", "", true},
		{"a broken escape", basic("id:%zz"), "", "", false},
		{"no colon", basic("id"), "", "", false},
		{"not base64", "Basic %%%", "", "", false},
		{"another scheme", "Bearer abc", "", "", false},
		{"only the scheme", "Basic", "", "", false},
		{"nothing", "", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, clientSecret, ok := parseBasic(tt.header)
			if ok != tt.ok || ok && (id != tt.id || clientSecret != tt.secret) {
				t.Errorf("parseBasic = %q, %q, %v", id, clientSecret, ok)
			}
		})
	}
}

func TestOA33_GeneratedSecretsAre256BitsAndStoredHashed(t *testing.T) {
	d := newDesk(t)
	clear, hash := NewClientSecret(d.Keys)
	again, _ := NewClientSecret(d.Keys)
	if len(clear) < 43 || clear == again {
		t.Errorf("secret %q, then %q", clear, again)
	}
	if strings.Contains(hash, clear) || !strings.HasPrefix(hash, hashedFast) {
		t.Errorf("hash %q", hash)
	}
}

func FuzzParseBasic(f *testing.F) {
	f.Add("Basic aWQ6c2VjcmV0")
	f.Add("Basic JTp8")
	f.Fuzz(func(t *testing.T, header string) {
		id, clientSecret, ok := parseBasic(header)
		if !ok {
			return
		}
		again := new(http.Request)
		again.Header = make(http.Header)
		again.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(clientSecret))
		if id2, secret2, ok := parseBasic(again.Header.Get("Authorization")); !ok || id2 != id || secret2 != clientSecret {
			t.Fatalf("%q does not survive encoding: %q %q", header, id2, secret2)
		}
	})
}

package harness

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// RelyingParty speaks the protocol as a client does, with nothing between the test and the wire.
type RelyingParty struct {
	Issuer      string
	ID, Secret  string // without a Secret the client is public
	RedirectURI string
	Scope       string
	// PostAuth sends the secret in the body (client_secret_post), not by HTTP Basic.
	PostAuth bool
	HTTP     *http.Client

	address string
}

// Authorization is one authorization request.
type Authorization struct {
	URL, State, Nonce, Verifier string
}

// Answer is what an endpoint answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

// Text is a member of the answer that is a string.
func (a Answer) Text(member string) string { s, _ := a.JSON[member].(string); return s }

// At is the relying party when it reaches the provider by another address, as behind a balancer. What it expects of the
// issuer stays.
func (rp *RelyingParty) At(address string) *RelyingParty {
	other := *rp
	other.address = address
	return &other
}

func (rp *RelyingParty) endpoint(path string) string {
	if rp.address != "" {
		return rp.address + path
	}
	return rp.Issuer + path
}

// Begin makes an authorization request; further parameters are given as name, value.
func (rp *RelyingParty) Begin(further ...string) Authorization {
	a := Authorization{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(a.Verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {rp.ID}, "redirect_uri": {rp.RedirectURI}, "scope": {rp.Scope},
		"state": {a.State}, "nonce": {a.Nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	for i := 0; i+1 < len(further); i += 2 {
		q.Set(further[i], further[i+1])
	}
	a.State = q.Get("state")
	a.URL = rp.Issuer + "/authorize?" + q.Encode()
	return a
}

// AuthCode takes the AuthCode out of the redirect that the browser stopped at, and checks what came with it (RFC 9207).
func (rp *RelyingParty) AuthCode(t testing.TB, p *Page, a Authorization) string {
	t.Helper()
	if !p.Stopped || !strings.HasPrefix(p.URL.String(), rp.RedirectURI+"?") {
		t.Fatalf("the browser is not back at the client, but at %s (%d):\n%s", p.URL, p.Status, p.summary())
	}
	q := p.URL.Query()
	if q.Get("state") != a.State || q.Get("iss") != rp.Issuer || q.Get("code") == "" {
		t.Fatalf("the answer is not that of the request: %s", p.URL)
	}
	return q.Get("code")
}

// Redeem exchanges an AuthCode.
func (rp *RelyingParty) Redeem(authCode string, a Authorization) (Answer, error) {
	return rp.Post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {authCode}, "redirect_uri": {rp.RedirectURI}, "code_verifier": {a.Verifier},
	})
}

// Refresh uses a refresh token.
func (rp *RelyingParty) Refresh(token string) (Answer, error) {
	return rp.Post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// UserInfo asks who an access token is about.
func (rp *RelyingParty) UserInfo(token string) (Answer, error) {
	req, err := http.NewRequest(http.MethodGet, rp.endpoint("/userinfo"), nil)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return rp.send(req)
}

// Get reads a public document of the provider.
func (rp *RelyingParty) Get(path string) (Answer, error) {
	req, err := http.NewRequest(http.MethodGet, rp.endpoint(path), nil)
	if err != nil {
		return Answer{}, err
	}
	return rp.send(req)
}

// Post posts a form to an endpoint with the client's own authentication.
func (rp *RelyingParty) Post(path string, form url.Values) (Answer, error) {
	if rp.Secret == "" || rp.PostAuth {
		form.Set("client_id", rp.ID)
	}
	if rp.PostAuth {
		form.Set("client_secret", rp.Secret)
	}
	req, err := http.NewRequest(http.MethodPost, rp.endpoint(path), strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if rp.Secret != "" && !rp.PostAuth {
		req.SetBasicAuth(url.QueryEscape(rp.ID), url.QueryEscape(rp.Secret))
	}
	return rp.send(req)
}

func (rp *RelyingParty) send(req *http.Request) (Answer, error) {
	resp, err := rp.HTTP.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("call provider: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("call provider: %w", err)
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	_ = json.Unmarshal(body, &a.JSON) // what is no JSON has no members
	return a, nil
}

// Claims reads the payload of a JWT without verifying it: the relying parties of the examples verify.
func Claims(t testing.TB, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", jwt)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("read JWT: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatalf("read JWT: %v", err)
	}
	return claims
}

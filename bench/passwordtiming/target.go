package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// target is a provider to measure.
type target struct{ issuer, clientID, redirectURI string }

// passwordPage is one authorization request that waits for a password.
type passwordPage struct {
	action  string
	cookies string
	csrf    string
}

// httpClient follows nothing by itself, and keeps no cookies: each try brings exactly those of its own kind.
var httpClient = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// open begins an authorization request and reads its password page.
func (t target) open(ctx context.Context) (*passwordPage, error) {
	verifier := sha256.Sum256([]byte("a code that nobody will ever redeem"))
	query := url.Values{
		"client_id": {t.clientID}, "redirect_uri": {t.redirectURI}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(verifier[:])},
	}
	resp, _, err := send(ctx, http.MethodGet, t.issuer+"/authorize?"+query.Encode(), "", nil)
	if err != nil {
		return nil, err
	}
	location, err := resp.Location()
	if err != nil || !strings.HasSuffix(location.Path, "/login") {
		return nil, fmt.Errorf("the authorization request was not taken: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	p := &passwordPage{action: location.String()}
	for _, c := range resp.Cookies() {
		p.cookies += c.Name + "=" + c.Value + "; "
	}
	_, body, err := send(ctx, http.MethodGet, p.action, p.cookies, nil)
	if err != nil {
		return nil, err
	}
	token := csrfField.FindStringSubmatch(body)
	if token == nil {
		return nil, fmt.Errorf("no password form at %s", p.action)
	}
	p.csrf = token[1]
	return p, nil
}

// try types a wrong password and says how long the whole answer took.
func (p *passwordPage) try(ctx context.Context, v visitor) (time.Duration, error) {
	form := url.Values{"csrf": {p.csrf}, "username": {v.username}, "password": {"not the password of anybody"}}
	began := time.Now()
	resp, _, err := send(ctx, http.MethodPost, p.action, p.cookies+v.cookie, form)
	took := time.Since(began)
	if err == nil && resp.StatusCode != http.StatusForbidden {
		err = fmt.Errorf("answered %s, not as a wrong password is: raise its limits", resp.Status)
	}
	return took, err
}

func send(ctx context.Context, method, address, cookies string, form url.Values) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Cookie", strings.TrimSuffix(cookies, "; "))
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

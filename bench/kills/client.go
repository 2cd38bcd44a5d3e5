package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parola-id/parola/bench/rig"
)

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// answer is what the token endpoint said in the end.
type answer struct {
	status int
	// lost says that there was no answer to an attempt before this one: whether it was carried out is unknown.
	lost bool

	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
}

func redeeming(authCode string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {authCode},
		"redirect_uri": {rig.RedirectURI}, "code_verifier": {rig.CodeVerifier}}
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}
}

// ask posts to the token endpoint, and again while the server is away or busy: that is what clients do.
func (k *killer) ask(ctx context.Context, form url.Values) (answer, error) {
	var a answer
	err := k.insist(ctx, func() (retry bool, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.in.Issuer+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			return false, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(req)
		if err != nil {
			var dialing *net.OpError
			a.lost = a.lost || !errors.As(err, &dialing) || dialing.Op != "dial"
			return true, nil
		}
		defer resp.Body.Close()
		a = answer{status: resp.StatusCode, lost: a.lost}
		if json.NewDecoder(resp.Body).Decode(&a) != nil {
			a.lost = true
			return true, nil
		}
		return resp.StatusCode == http.StatusServiceUnavailable, nil
	})
	return a, err
}

// userInfo uses an access token.
func (k *killer) userInfo(ctx context.Context, token string) (status int, err error) {
	err = k.insist(ctx, func() (retry bool, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.in.Issuer+"/userinfo", nil)
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			return true, nil
		}
		resp.Body.Close()
		status = resp.StatusCode
		return status == http.StatusServiceUnavailable, nil
	})
	return status, err
}

func (k *killer) insist(ctx context.Context, do func() (retry bool, err error)) error {
	defer k.walked.Add(1)
	for ctx.Err() == nil {
		if retry, err := do(); !retry || err != nil {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("wait for the server: %w", ctx.Err())
}

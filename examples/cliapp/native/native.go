// Package native signs a person in from a program on their own machine, as RFC 8252 says: in the browser they already
// use, with PKCE and no client secret, and with the answer coming back to a loopback address on a port that the
// system chooses. Run in this file is the whole login; loopback.go receives the answer; report.go prints it.
//
// It imports nothing of the provider and may be copied as it is.
package native

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config says where to sign in and what to ask for.
type Config struct {
	// Issuer is the provider's issuer URL, exactly as its discovery document states it. Required.
	Issuer string

	// ClientID is a public client registered as native, with the redirect URI http://127.0.0.1/callback; the port
	// need not match (RFC 8252 §7.3). Required.
	ClientID string

	// Scopes are asked for. Nil means openid profile.
	Scopes []string

	// ACRValues, if set, are asked for, the preferred one first. The login fails if the ID token has none of them.
	ACRValues []string

	// JSON prints one JSON object per line instead of text: first {"authorization_url": …}, then the Result.
	JSON bool

	// Timeout is how long to wait for the person. Zero means five minutes.
	Timeout time.Duration

	// OpenBrowser is called with the authorization URL, which is printed as well: on a machine without a browser
	// that is how the person gets to it. Nil only prints; an error is not fatal.
	OpenBrowser func(url string) error

	// HTTPClient speaks to the provider. Nil means one with a time-out of ten seconds.
	HTTPClient *http.Client

	// Now is the clock against which the ID token expires. Nil means time.Now.
	Now func() time.Time
}

// Result is what a login brought. Tokens are not in it: a program that needs them keeps them in the system's key
// store, and does not print them.
type Result struct {
	IDToken  json.RawMessage `json:"id_token"` // the verified payload
	UserInfo json.RawMessage `json:"userinfo"`
}

// Run signs one person in and prints what came of it to stdout. The authorization URL stands on a line of its own. It
// ends with an error when ctx or the time-out does, when the provider refuses, or when its answer does not verify.
func Run(ctx context.Context, cfg Config, stdout io.Writer) error {
	cfg = cfg.withDefaults()
	if cfg.Issuer == "" || cfg.ClientID == "" {
		return errors.New("an issuer and a client id are needed")
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, cfg.HTTPClient), cfg.Timeout)
	defer cancel()

	p, err := discover(ctx, cfg)
	if err != nil {
		return fmt.Errorf("discover the provider: %w", err)
	}
	attempt := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	receiver, err := listen(p.check(attempt))
	if err != nil {
		return fmt.Errorf("listen for the answer: %w", err)
	}
	defer receiver.close()
	p.oauth2.RedirectURL = receiver.redirectURL

	authorizationURL := p.authorizationURL(cfg, attempt)
	if err := reportURL(stdout, cfg.JSON, authorizationURL); err != nil {
		return err
	}
	if cfg.OpenBrowser != nil {
		_ = cfg.OpenBrowser(authorizationURL) // the URL is on the screen
	}
	authCode, err := receiver.wait(ctx)
	if err != nil {
		return err
	}
	result, err := p.finish(ctx, cfg, attempt, authCode)
	if err != nil {
		return err
	}
	return report(stdout, cfg.JSON, result)
}

func (c Config) withDefaults() Config {
	if c.Scopes == nil {
		c.Scopes = []string{oidc.ScopeOpenID, "profile"}
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Minute
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

package webapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// errUnreachable: the provider could not be asked. Nothing is wrong with the login.
var errUnreachable = errors.New("provider unreachable")

// provider is the OpenID Connect provider as its discovery document describes it.
type provider struct {
	*oidc.Provider
	oauth2   oauth2.Config
	verifier *oidc.IDTokenVerifier
	metadata metadata
}

// metadata are the members of the discovery document that go-oidc does not read itself.
type metadata struct {
	EndSessionEndpoint string `json:"end_session_endpoint"`
	IssOnResponses     bool   `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
}

// discovery finds the provider at the first use and keeps it. A failure is not kept.
type discovery struct {
	discover func() (*provider, error)

	mu    sync.Mutex
	found *provider
}

// newDiscovery fetches under ctx, not under a request's: others may be waiting for the same answer, and a browser
// that goes away must not take it from them.
func newDiscovery(ctx context.Context, cfg Config) *discovery {
	return &discovery{discover: func() (*provider, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return discover(ctx, cfg)
	}}
}

// get returns an error when the provider cannot be reached or is not the one that was configured.
func (d *discovery) get() (*provider, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found != nil {
		return d.found, nil
	}
	found, err := d.discover()
	if err != nil {
		return nil, fmt.Errorf("%w: discovery: %w", errUnreachable, err)
	}
	d.found = found
	return found, nil
}

func discover(ctx context.Context, cfg Config) (*provider, error) {
	discovered, err := oidc.NewProvider(ctx, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	p := &provider{Provider: discovered}
	if err := discovered.Claims(&p.metadata); err != nil {
		return nil, err
	}
	endpoint := discovered.Endpoint()
	// Said outright, because the library would otherwise try both ways and might spend the authorization code on
	// the wrong one.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	p.oauth2 = oauth2.Config{
		ClientID:     cfg.ClientID,
		ClientSecret: cfg.ClientSecret,
		Endpoint:     endpoint,
		RedirectURL:  cfg.RedirectURL,
		Scopes:       cfg.Scopes,
	}
	p.verifier = discovered.VerifierContext(ctx, &oidc.Config{ClientID: cfg.ClientID, Now: cfg.Now})
	return p, nil
}

// unavailable tells an outage from a refusal: signing a person out because the provider was restarting would be a
// poor reward for their patience.
func unavailable(err error) bool {
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) {
		return refusal.Response.StatusCode >= http.StatusInternalServerError
	}
	var network *url.Error
	return errors.Is(err, errUnreachable) || errors.As(err, &network)
}

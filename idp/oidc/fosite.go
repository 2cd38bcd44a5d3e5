package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/parola-id/parola/storage"
)

// The grant types of the token endpoint; every other one is refused (OA-34).
const (
	grantAuthCode          = "authorization_code"
	grantRefresh           = "refresh_token"
	grantClientCredentials = "client_credentials"
)

// The scopes that mean something to this package.
const (
	scopeOpenID        = "openid"
	scopeOfflineAccess = "offline_access"
)

// newFosite puts the handlers together. compose.Compose is not used because it registers what a handler can do, not what
// is wanted: the OpenID handler must not look at prompt and max_age a second time, against the machine's clock.
func newFosite(p *Provider) fosite.OAuth2Provider {
	store := &grants{store: p.Store, keys: p.Keys, lifetimes: p.Lifetimes}
	strategy := &tokenStrategy{issuer: p.Issuer, signer: p.Signer, lifetimes: p.Lifetimes}
	config := &configurator{Config: fositeConfig(p)}

	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, AuthorizeCodeStrategy: strategy,
		CoreStorage: store, TokenRevocationStorage: store, Config: config,
	}
	idToken := &openid.IDTokenHandleHelper{IDTokenStrategy: strategy}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code}
	// The OpenID handlers come after those that make the access token: at_hash needs it.
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		code,
		&oauth2.RefreshTokenGrantHandler{
			AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, TokenRevocationStorage: store, Config: config,
		},
		&oauth2.ClientCredentialsGrantHandler{
			HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: store, Config: config},
			Config:       config,
		},
		&openid.OpenIDConnectExplicitHandler{OpenIDConnectRequestStorage: store, IDTokenHandleHelper: idToken, Config: config},
		&openid.OpenIDConnectRefreshHandler{IDTokenHandleHelper: idToken, Config: config},
	}
	return fosite.NewOAuth2Provider(store, config)
}

// fositeConfig sets every field that has a lazy default, since fosite fills those in without a lock, and every default
// that Appendix A of the security requirements found wanting.
func fositeConfig(p *Provider) *fosite.Config {
	return &fosite.Config{
		AccessTokenLifespan:            p.Lifetimes.AccessToken,
		RefreshTokenLifespan:           p.Lifetimes.RefreshIdle,
		AuthorizeCodeLifespan:          p.Lifetimes.AuthCode, // A1
		IDTokenLifespan:                p.Lifetimes.IDToken,
		IDTokenIssuer:                  p.Issuer,
		AccessTokenIssuer:              p.Issuer,
		TokenURL:                       p.Issuer,
		ScopeStrategy:                  fosite.ExactScopeStrategy, // A23
		AudienceMatchingStrategy:       fosite.ExactAudienceMatchingStrategy,
		OmitRedirectScopeParam:         true,  // A5
		MinParameterEntropy:            1,     // A5: any state and nonce is legal
		SendDebugMessagesToClients:     false, // A28
		DisableRefreshTokenValidation:  true,
		EnforcePKCE:                    true,
		EnablePKCEPlainChallengeMethod: false,
		// What a grant keeps of the request: what the token request is checked against, and what the ID token repeats.
		SanitationWhiteList:          []string{"redirect_uri", "nonce", "code_challenge", "code_challenge_method"},
		RedirectSecureChecker:        func(context.Context, *url.URL) bool { return true }, // matchRedirectURI has decided
		JWTScopeClaimKey:             jwt.JWTScopeFieldString,
		ClientSecretsHasher:          nothingMatches{},
		JWKSFetcherStrategy:          fosite.NewDefaultJWKSFetcherStrategy(),
		ClientAuthenticationStrategy: authenticatedBefore,
	}
}

// configurator answers what depends on the client and the grant.
type configurator struct{ *fosite.Config }

// GetRefreshTokenScopes says which scopes bring a refresh token (OA-50): offline_access, or any for a first-party client
// with that policy. At refresh the grant has proved its right by having a refresh token.
func (c *configurator) GetRefreshTokenScopes(ctx context.Context) []string {
	ex, err := exchangeOf(ctx)
	if err == nil && (ex.form.Get("grant_type") == grantRefresh || ex.client.FirstParty && ex.client.AlwaysRefresh) {
		return []string{}
	}
	return []string{scopeOfflineAccess}
}

// authenticatedBefore hands fosite the client that our own authentication found (A17, A19).
func authenticatedBefore(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
	ex, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	return fositeClient{ex.client}, nil
}

// nothingMatches is in the place of fosite's bcrypt: secrets are never compared there.
type nothingMatches struct{}

var errNotUsed = errors.New("not used through fosite")

func (nothingMatches) Compare(context.Context, []byte, []byte) error { return errNotUsed }
func (nothingMatches) Hash(context.Context, []byte) ([]byte, error)  { return nil, errNotUsed }

// fositeClient is a client as fosite asks about it.
type fositeClient struct{ storage.Client }

var (
	_ fosite.Client             = fositeClient{}
	_ fosite.ResponseModeClient = fositeClient{}
)

func (c fositeClient) GetID() string                      { return c.ID }
func (c fositeClient) GetHashedSecret() []byte            { return nil }
func (c fositeClient) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c fositeClient) GetGrantTypes() fosite.Arguments    { return c.GrantTypes }
func (c fositeClient) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} } // OA-06
func (c fositeClient) GetScopes() fosite.Arguments        { return c.Scopes }
func (c fositeClient) IsPublic() bool                     { return c.AuthMethod == methodNone }
func (c fositeClient) GetAudience() fosite.Arguments      { return c.Audience }
func (c fositeClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFormPost} // responseMode has decided
}

// fositeRequest wraps a form for fosite, which reads it from an *http.Request: what reaches fosite is what our own
// checks left, whatever the browser sent.
func fositeRequest(ctx context.Context, form url.Values) *http.Request {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}, Form: form, PostForm: form}
	return r.WithContext(ctx)
}

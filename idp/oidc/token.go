package oidc

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// tokenResponse is RFC 6749 §5.1 and Core §3.1.3.3.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// Token is the token endpoint (RFC 6749 §3.2).
func (p *Provider) Token(w http.ResponseWriter, r *http.Request) {
	if p.crossOrigin(w, r, http.MethodPost) {
		return
	}
	form, err := postForm(w, r)
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	answer, err := p.tokens(r, form)
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, answer)
}

// tokens authenticates the client, and does the exchange in one transaction. Slow work comes before the transaction:
// on SQLite it would keep the only writer.
func (p *Provider) tokens(r *http.Request, form url.Values) (tokenResponse, error) {
	ctx := r.Context()
	grantType := form.Get("grant_type")
	switch grantType {
	case grantAuthCode, grantRefresh, grantClientCredentials:
	case "":
		return tokenResponse{}, refuse(errInvalidRequest, "grant_type is required")
	default:
		return tokenResponse{}, refuse(errUnsupportedGrantType, "grant_type is not supported")
	}
	client, err := p.authenticateClient(ctx, r, form)
	if err != nil {
		return tokenResponse{}, err
	}
	if !slices.Contains(client.GrantTypes, grantType) {
		return tokenResponse{}, refuse(errUnauthorizedClient, "this client may not use this grant_type")
	}
	if err := p.Signer.Ensure(ctx, client.IDTokenAlg); err != nil {
		return tokenResponse{}, err
	}
	var answer tokenResponse
	var refused error
	err = p.Store.InTx(ctx, func(ctx context.Context) error {
		// Everything is begun anew here: on PostgreSQL the function may run again.
		ex := &exchange{client: client, now: p.Clock.Now(), form: form}
		answer, refused = tokenResponse{}, nil
		got, err := p.exchangeTokens(withExchange(ctx, ex), ex, grantType)
		if _, told := asRefusal(err); told && ex.final {
			refused = err
			return p.record(ctx, ex)
		}
		if err != nil {
			return err
		}
		answer = got
		return p.record(ctx, ex)
	})
	if err != nil {
		return tokenResponse{}, err
	}
	return answer, refused
}

// record writes what the exchange gathered: tokens in one statement, events in another. If either fails, nothing has
// happened (REL-02).
func (p *Provider) record(ctx context.Context, ex *exchange) error {
	if len(ex.tokens) > 0 {
		if err := p.Store.InsertTokens(ctx, ex.tokens...); err != nil {
			return err
		}
	}
	if len(ex.events) == 0 {
		return nil
	}
	return p.Audit.Write(ctx, ex.events...)
}

// exchangeTokens lets fosite run the grant.
func (p *Provider) exchangeTokens(ctx context.Context, ex *exchange, grantType string) (tokenResponse, error) {
	form := maps.Clone(ex.form)
	form.Del("audience") // fosite's own parameter; resource is the registered one (RFC 8707)
	request, err := p.fosite.NewAccessRequest(ctx, fositeRequest(ctx, form), newClaims(storage.Grant{}))
	if err != nil {
		return tokenResponse{}, err
	}
	if grantType == grantClientCredentials {
		if err := p.grantClient(ctx, ex, request); err != nil {
			return tokenResponse{}, err
		}
	}
	if resource := ex.form.Get("resource"); resource != "" && !slices.Contains(ex.grant.Audience, resource) {
		return tokenResponse{}, refuse(errInvalidTarget, "resource is not what was granted")
	}
	response, err := p.fosite.NewAccessResponse(ctx, request)
	if err != nil {
		return tokenResponse{}, err
	}
	switch grantType {
	case grantAuthCode:
		ex.events = append(ex.events, ex.event(ctx, audit.CodeRedeemed, audit.Success, ""), ex.event(ctx, audit.TokenIssued, audit.Success, grantType))
	case grantRefresh:
		ex.events = append(ex.events, ex.event(ctx, audit.TokenRefreshed, audit.Success, ""))
	default:
		ex.events = append(ex.events, ex.event(ctx, audit.TokenIssued, audit.Success, grantType))
	}
	return newTokenResponse(response, ex, p.Lifetimes), nil
}

// grantClient gives a client tokens for itself (RFC 6749 §4.4): fosite has checked the scopes against the client's list
// but grants none by itself. Scopes that speak of a person are refused, since there is none.
func (p *Provider) grantClient(ctx context.Context, ex *exchange, request fosite.AccessRequester) error {
	ex.scopes = request.GetRequestedScopes()
	if slices.Contains(ex.scopes, scopeOpenID) || slices.Contains(ex.scopes, scopeOfflineAccess) {
		return refuse(errInvalidScope, "openid and offline_access need a person")
	}
	audience, err := audience(ex.client, ex.form.Get("resource"))
	if err != nil {
		return err
	}
	ex.grant = storage.Grant{
		ID: storage.NewTimeID(ex.now), ClientID: ex.client.ID, CorrelationID: reqinfo.From(ctx).CorrelationID,
		Scopes: ex.scopes, Audience: audience, CreatedAt: ex.now,
		RefreshUntil: ex.now.Add(p.Lifetimes.AccessToken), // nothing of it outlives its one access token
	}
	request.SetID(ex.grant.ID)
	for _, scope := range ex.scopes {
		request.GrantScope(scope)
	}
	return p.Store.InsertGrant(ctx, ex.grant)
}

func newTokenResponse(response fosite.AccessResponder, ex *exchange, lifetimes Lifetimes) tokenResponse {
	text := func(name string) string {
		s, _ := response.GetExtra(name).(string)
		return s
	}
	return tokenResponse{
		AccessToken: response.GetAccessToken(), TokenType: "Bearer", ExpiresIn: int64(lifetimes.AccessToken.Seconds()),
		RefreshToken: text("refresh_token"), IDToken: text("id_token"), Scope: strings.Join(ex.scopes, " "),
	}
}

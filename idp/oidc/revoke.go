package oidc

import (
	"context"
	"fmt"
	"net/http"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage"
)

// Revoke withdraws a token (RFC 7009). An unknown token is withdrawn already: 200. A refresh token takes its whole grant
// along, access tokens included (OA-84); an access token goes alone. Another client's token is refused (OA-83).
func (p *Provider) Revoke(w http.ResponseWriter, r *http.Request) {
	if p.crossOrigin(w, r, http.MethodPost) {
		return
	}
	if err := p.revoke(w, r); err != nil {
		p.writeError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := postForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.authenticateClient(r.Context(), r, form)
	if err != nil {
		return err
	}
	text := form.Get("token")
	if text == "" {
		return refuse(errInvalidRequest, "token is required")
	}
	// token_type_hint is not needed: the token itself tells its kind.
	kind := storage.AccessToken
	switch {
	case wellFormed(text, prefixRefresh):
		kind = storage.RefreshToken
	case !wellFormed(text, prefixAccess) && !looksLikeJWT(text):
		return nil
	}
	t, err := p.findToken(r.Context(), kind, text)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find token to revoke: %w", err)
	}
	if t.ClientID != c.ID {
		return refuse(errInvalidGrant, "the token was not issued to this client")
	}
	return p.revokeToken(r.Context(), t)
}

// revokeToken withdraws the token with its event. One that was withdrawn before changes nothing and writes nothing.
func (p *Provider) revokeToken(ctx context.Context, t storage.PresentedToken) error {
	const reason = "revoked_by_client"
	now, info := p.Clock.Now(), reqinfo.From(ctx)
	err := p.Store.InTx(ctx, func(ctx context.Context) error {
		var changed bool
		var err error
		if t.Kind == storage.RefreshToken {
			changed, err = p.Store.RevokeGrant(ctx, t.GrantID, reason, now)
		} else {
			changed, err = p.Store.RevokeToken(ctx, t.Hash, now)
		}
		if err != nil || !changed {
			return err
		}
		return p.Audit.Write(ctx, storage.Event{
			Kind: audit.TokenRevoked, Reason: reason, PersonID: t.Grant.PersonID, ClientID: t.ClientID, SessionID: t.Grant.SessionID,
			AuthRequestID: t.Grant.AuthRequestID, GrantID: t.GrantID, JTI: t.JTI,
			CorrelationID: info.CorrelationID, SourceAddr: info.Source, UserAgent: info.UserAgent,
			Data: map[string]string{"token": string(t.Kind)},
		})
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

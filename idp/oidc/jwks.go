package oidc

import (
	"fmt"
	"net/http"

	"github.com/parola-id/parola/idp/signing"
)

// JWKS serves the public signing keys. Caches may keep them for a while: a key is published longer than that before it
// signs (KEY-03).
func (p *Provider) JWKS(w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	// A new installation makes its keys while it starts. Whoever asks before they are there waits: a set without one of
	// them would be kept for five minutes, and tokens signed by it refused meanwhile.
	if err := p.Signer.Ensure(r.Context()); err != nil {
		p.writeError(w, r, err)
		return
	}
	keys, err := p.Signer.JWKS(r.Context())
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	newDocument(keys).serve(w, r, "application/jwk-set+json", fmt.Sprintf("public, max-age=%.0f", signing.CacheLife.Seconds()))
}

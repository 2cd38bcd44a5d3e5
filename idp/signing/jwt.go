package signing

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// maxToken bounds what Verify parses, in bytes.
const maxToken = 16 << 10

// accepted are the algorithms that Verify parses at all (OA-40).
var accepted = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA}

// Sign returns claims as a compact JWS, signed with the current key of alg, with that key's kid and the given typ in the
// header. It fails with ErrNoKey when there is no such key: Ensure comes first, since making one cannot happen inside
// the caller's transaction.
func (s *Signer) Sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	ks, err := s.snapshot(ctx, maxAge)
	if err != nil {
		return "", err
	}
	k := ks.current[alg]
	if k == nil {
		return "", fmt.Errorf("sign with %q: %w", alg, ErrNoKey)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k.private},
		new(jose.SignerOptions).WithType(jose.ContentType(typ)),
	)
	if err != nil {
		return "", fmt.Errorf("prepare %s signature: %w", alg, err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", alg, err)
	}
	return jws.CompactSerialize()
}

// Verify checks that token is a compact JWS signed by a published key of ours and returns its claims and its typ. The
// key is chosen by kid and alg together from our own set; jwk, jku and x5c headers choose nothing (OA-41). What the
// claims say, their expiry included, is the caller's to judge. It fails with ErrInvalid.
func (s *Signer) Verify(ctx context.Context, token string) (claims json.RawMessage, typ string, err error) {
	if len(token) > maxToken {
		return nil, "", fmt.Errorf("%w: longer than %d bytes", ErrInvalid, maxToken)
	}
	jws, err := jose.ParseSignedCompact(token, accepted)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	header := jws.Signatures[0].Protected
	k, err := s.published(ctx, header.KeyID)
	if err != nil {
		return nil, "", err
	}
	// A key verifies the one algorithm it was made for, whatever the header would like.
	if k == nil || k.record.Alg != header.Algorithm {
		return nil, "", fmt.Errorf("%w: no key of this kid and alg", ErrInvalid)
	}
	payload, err := jws.Verify(k.public.Key)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
	return payload, typ, nil
}

// published finds a key by kid, or nil.
func (s *Signer) published(ctx context.Context, kid string) (*key, error) {
	ks, err := s.snapshot(ctx, maxAge)
	if err != nil {
		return nil, err
	}
	if k := ks.byKID[kid]; k != nil {
		return k, nil
	}
	if ks, err = s.snapshot(ctx, retryAge); err != nil {
		return nil, err
	}
	return ks.byKID[kid], nil
}

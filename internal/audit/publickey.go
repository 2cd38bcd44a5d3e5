package audit

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const pemType = "PUBLIC KEY"

// EncodePublicKey returns the key as PEM, in the form that OpenSSL writes (RFC 8410).
func EncodePublicKey(key ed25519.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic("audit: " + err.Error()) // only an unknown kind of key fails
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

// DecodePublicKeys reads one or more PEM blocks, such as EncodePublicKey writes: after a change of the root secret the
// older part of a chain is signed by the older key.
func DecodePublicKeys(text []byte) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok || block.Type != pemType {
			return nil, errors.New("read public key: it is not an Ed25519 public key")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("read public key: there is no PEM block in it")
	}
	return keys, nil
}

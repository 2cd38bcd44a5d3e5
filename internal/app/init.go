package app

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"strings"

	"github.com/parola-id/parola/internal/secret"
)

// Template is the commented configuration file, with ROOT_SECRET and VERIFY_TOKEN where fresh secrets belong.
//
//go:embed config.yaml
var template string

// InitialConfig is the commented configuration file with fresh secrets.
func InitialConfig() string {
	return strings.NewReplacer("ROOT_SECRET", freshSecret(secret.RootSize), "VERIFY_TOKEN", freshSecret(18)).Replace(template)
}

func freshSecret(size int) string {
	b := make([]byte, size)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

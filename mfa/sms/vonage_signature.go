package sms

import (
	"crypto/hmac"
	"crypto/md5"  // both are what Vonage offers:
	"crypto/sha1" // the account chooses
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// vonageSignature is one of Vonage's ways to sign a set of parameters: the digest of a text with a secret.
type vonageSignature func(text, secret string) []byte

var vonageSignatures = map[string]vonageSignature{
	"md5hash": func(text, secret string) []byte {
		sum := md5.Sum([]byte(text + secret))
		return sum[:]
	},
	"md5":    vonageHMAC(md5.New),
	"sha1":   vonageHMAC(sha1.New),
	"sha256": vonageHMAC(sha256.New),
	"sha512": vonageHMAC(sha512.New),
}

func vonageHMAC(digest func() hash.Hash) vonageSignature {
	return func(text, secret string) []byte {
		mac := hmac.New(digest, []byte(secret))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

// of signs parameters.
func (s vonageSignature) of(parameters url.Values, secret string) string {
	return hex.EncodeToString(s(vonageText(parameters), secret))
}

// fits says whether one of the secrets made sig. All are tried, so that the time does not tell which one.
func (s vonageSignature) fits(parameters url.Values, secrets []string, sig string) bool {
	given, err := hex.DecodeString(sig)
	if err != nil {
		return false
	}
	fits := 0
	for _, secret := range secrets {
		fits |= subtle.ConstantTimeCompare(s(vonageText(parameters), secret), given)
	}
	return fits == 1
}

// vonageText is what is signed: the parameters but for sig in the order of their names, with what separates them taken out
// of the values.
func vonageText(parameters url.Values) string {
	separators := strings.NewReplacer("&", "_", "=", "_")
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if name != "sig" {
			text.WriteString("&" + name + "=" + separators.Replace(parameters.Get(name)))
		}
	}
	return text.String()
}

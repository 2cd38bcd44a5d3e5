package oidc

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/parola-id/parola/storage"
)

// matchRedirectURI says whether the client registered uri. Plain string equality decides (OA-01); the one exception is
// the port of a native client's loopback address (OA-02, RFC 8252 §7.3). fosite's matcher runs after this one and cannot
// widen it: it ignores the registered scheme, userinfo and escapes, and lets every kind of client profit (A3).
func matchRedirectURI(c storage.Client, uri string) bool {
	for _, registered := range c.RedirectURIs {
		if uri == registered && uri != "" {
			return true
		}
		if c.Native && sameLoopback(uri, registered) {
			return true
		}
	}
	return false
}

// sameLoopback compares two loopback addresses without their ports, as text: nothing is decoded, so that no second
// spelling of a path can match.
func sameLoopback(uri, registered string) bool {
	host, rest, ok := cutLoopback(uri)
	if !ok {
		return false
	}
	registeredHost, registeredRest, ok := cutLoopback(registered)
	return ok && host == registeredHost && rest == registeredRest
}

// cutLoopback cuts "http://127.0.0.1:8080/cb" into "http://127.0.0.1" and "/cb". It is false for anything that is not
// a loopback IP literal followed by nothing, a port, a path or a query. `localhost` is not one: a resolver may send it
// elsewhere (RFC 8252 §8.3).
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, found := strings.CutPrefix(uri, host)
		if !found {
			continue
		}
		if port, isPort := strings.CutPrefix(rest, ":"); isPort {
			digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
			if n, err := strconv.Atoi(port[:digits]); err != nil || n < 1 || n > 65535 {
				return "", "", false
			}
			rest = port[digits:]
		}
		if strings.Contains(rest, "#") || rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", false
		}
		return host, rest, true
	}
	return "", "", false
}

// withQuery appends parameters to a redirect URI and leaves what was registered as it is, byte for byte.
func withQuery(uri string, params url.Values) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + params.Encode()
}

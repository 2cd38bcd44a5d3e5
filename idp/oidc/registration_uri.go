package oidc

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// maxURI is the longest address a client may register, in bytes.
const maxURI = 2048

// privateScheme is a scheme that a native app made from a domain name in reverse (RFC 8252 §7.1). The dot keeps out
// javascript, data, vbscript, file, blob, about and every other scheme with a meaning of its own.
var privateScheme = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+$`)

// checkRedirectURI says what is wrong with an address to register (OA-05), or nil: https; http on loopback; or, for a
// native client, a private-use scheme.
func checkRedirectURI(uri string, native bool) error {
	if uri == "" || len(uri) > maxURI || strings.ContainsFunc(uri, func(c rune) bool { return c <= 0x20 || c > 0x7e }) {
		return errors.New("must be a URI of printable ASCII characters without spaces")
	}
	// Browsers take a backslash for a slash, so the host would not be the one we read.
	if strings.ContainsAny(uri, `#*\`) {
		return errors.New("must have no fragment, wildcard or backslash")
	}
	u, err := url.Parse(uri)
	if err != nil {
		return errors.New("is not a URI")
	}
	if u.User != nil {
		return errors.New("must have no user information")
	}
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && loopbackHost(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("must use https: http is for loopback addresses alone")
	case native && privateScheme.MatchString(u.Scheme):
		return nil
	case native:
		return errors.New("must use https, http on loopback, or a private scheme such as com.example.app")
	}
	return errors.New("must use https, or http on loopback")
}

// loopbackHost says whether host is this machine. `localhost` may be registered; only its port is never left open
// (OA-02).
func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkOrigin says what is wrong with an origin as browsers write it (RFC 6454 §6.2), or nil.
func checkOrigin(origin string) error {
	if err := checkRedirectURI(origin, false); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin {
		return errors.New("must be scheme, host and port alone, in lower case, without a slash at the end")
	}
	return nil
}

package templates

import (
	"net/url"
	"strings"
)

// ContentSecurityPolicy is the policy these pages keep (WEB-03): nothing but their own files. Forms may go to us and to
// the given origins, which must come from validated redirect URIs: Chromium and Safari apply form-action to the redirect
// that follows a post, so a bare 'self' would stop the way back to the client (WEB-04).
func ContentSecurityPolicy(formOrigins ...string) string {
	forms := "'self'"
	for _, o := range formOrigins {
		if source := formSource(o); source != "" {
			forms += " " + source
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action " + forms + "; frame-ancestors 'none'; base-uri 'none'"
}

// formSource is the part of a URI that a policy can name: the origin, or the bare scheme of a native client's own one.
// Anything that could end the directive, or stand for more than one host, is left out.
func formSource(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	source := u.Scheme + ":"
	// A policy has no way to name an IPv6 address; the scheme is what is left to name.
	if (u.Scheme == "http" || u.Scheme == "https") && !strings.HasPrefix(u.Host, "[") {
		source = u.Scheme + "://" + u.Host
	}
	if strings.ContainsAny(source, " ;,'\"*") {
		return ""
	}
	return source
}

package webapp

import "strings"

// parseBearerChallenge reads the parameters of a WWW-Authenticate header that begins with the Bearer scheme (RFC 9110
// §11.6.1, RFC 6750 §3). It returns nil for anything that is not well-formed: guessing at a half-understood challenge
// would send a person to a login that nobody asked for. Of a repeated parameter the header is not well-formed either.
func parseBearerChallenge(header string) map[string]string {
	const scheme = "Bearer "
	if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return nil
	}
	params := make(map[string]string)
	rest := header[len(scheme):]
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return params
		}
		name, after, found := strings.Cut(rest, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !found || name == "" || strings.ContainsAny(name, " \t\",") {
			return nil
		}
		value, remaining, ok := parseValue(strings.TrimLeft(after, " \t"))
		if _, repeated := params[name]; repeated || !ok {
			return nil
		}
		params[name] = value
		rest = remaining
	}
}

// parseValue reads a token or a quoted string and returns what follows it.
func parseValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0
	}
	var unquoted strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return unquoted.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		unquoted.WriteByte(s[i])
	}
	return "", "", false
}

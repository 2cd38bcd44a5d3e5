package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/secret"
)

// rootBytes decodes a root secret and refuses what is short or cannot be random.
func (s Secret) rootBytes() ([]byte, error) {
	b, err := decoded(s.Reveal())
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(b) < secret.RootSize {
		return nil, fmt.Errorf("has %d bytes, at least %d are needed", len(b), secret.RootSize)
	}
	if !looksRandom(b) {
		return nil, errors.New("is not random: make one with `parola config init`, or `head -c 32 /dev/urandom | base64`")
	}
	return b, nil
}

func decoded(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return b, nil
	}
	return base64.RawURLEncoding.DecodeString(text)
}

// leastDistinct is how many different values random bytes have at the very least: 32 of them have about 30.
const leastDistinct = 12

// looksRandom finds zeros and patterns, counting sequences, and text, such as a passphrase or an example.
func looksRandom(b []byte) bool {
	values, steps, text := make(map[byte]bool), make(map[byte]bool), true
	for i, x := range b {
		values[x] = true
		if i > 0 {
			steps[x-b[i-1]] = true
		}
		text = text && x >= ' ' && x <= '~'
	}
	return len(values) >= leastDistinct && len(steps) >= leastDistinct && !text
}

// leastOwn is the least length of a secret that the operator makes up, leastTheirs of one that a carrier gave.
const (
	leastOwn    = 16
	leastTheirs = 8
)

// madeUp are the secrets that are the operator's own to make up.
var madeUp = []string{"whatsapp.verify_token", "sms.gateway.callback_secret", "sms.gateway.callback_secret_previous"}

func (c Config) checkSecrets(bad func(string, ...any)) {
	if !c.Secrets.Root.Set() {
		bad("secrets.root is empty: make one with `parola config init`")
	}
	if c.Secrets.Next.Set() && c.Secrets.Previous.Set() {
		bad("secrets.next and secrets.previous are both set: one replacement of the root secret at a time; finish the first (`parola secrets status`)")
	}
	seen := make(map[string]string)
	once := func(value, name string) {
		if b, err := decoded(value); err == nil && len(b) >= secret.RootSize {
			value = string(b) // two spellings of one root are one root
		}
		if other, twice := seen[value]; twice {
			bad("%s and %s are the same secret: every purpose needs its own", min(name, other), max(name, other))
		}
		seen[value] = name
	}
	for _, s := range c.allSecrets() {
		value := s.Reveal()
		switch {
		case s.name == "database.dsn":
			checkDSN(value, bad, once)
			continue
		case s.name == "tracing.headers":
			continue // names and values of a collector that is the operator's own
		case strings.HasPrefix(s.name, "secrets."):
			if _, err := s.rootBytes(); err != nil {
				bad("%s %v", s.name, err)
			}
		case example(value):
			bad("%s is an example value: set the real one", s.name)
		case slices.Contains(madeUp, s.name) && len(value) < leastOwn:
			bad("%s has %d characters: make up %d at least, best with `head -c 18 /dev/urandom | base64`", s.name, len(value), leastOwn)
		case len(value) < leastTheirs:
			bad("%s has %d characters: that is no secret", s.name, len(value))
		case distinct(value) < 5:
			bad("%s repeats %d characters: that is no secret", s.name, distinct(value))
		}
		once(value, s.name)
	}
}

func distinct(s string) int {
	seen := make(map[rune]bool)
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

var dsnPassword = regexp.MustCompile(`(?:^|\s)password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)`)

// checkDSN looks at the password in a connection string, in both forms that PostgreSQL knows. On this machine any will
// do: a database of a test, or one that trusts its sockets.
func checkDSN(dsn string, bad func(string, ...any), once func(value, name string)) {
	var user, password string
	if u, err := url.Parse(dsn); err == nil && u.Host != "" {
		if loopback(u.Hostname()) {
			return
		}
		user = u.User.Username()
		password, _ = u.User.Password()
	} else if m := dsnPassword.FindStringSubmatch(dsn); m != nil {
		if host := regexp.MustCompile(`(?:^|\s)host\s*=\s*'?([^\s']+)`).FindStringSubmatch(dsn); host == nil || strings.HasPrefix(host[1], "/") || loopback(host[1]) {
			return
		}
		password = strings.Trim(m[1], "'")
	}
	if password == "" {
		return
	}
	if example(password) || password == user || password == "postgres" || password == "parola" || len(password) < leastTheirs {
		bad("the password in database.dsn is short or an example value: give the database's user a real one")
	}
	once(password, "the password in database.dsn")
}

// example finds what stands in documents for a secret. The words are long enough not to come up in random base64.
func example(value string) bool {
	lower := strings.ToLower(value)
	for _, word := range []string{"example", "changeme", "change-me", "change_me", "your-", "your_", "xxxxxx", "replace"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return lower == "secret" || lower == "password" || lower == "test"
}

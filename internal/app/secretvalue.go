package app

import (
	"fmt"
	"log/slog"

	"go.yaml.in/yaml/v3"
)

// masked is how every secret prints (KEY-08).
const masked = "********"

// Secret is a configured secret. It prints masked in every way and must be asked to reveal itself.
type Secret struct {
	value string
	file  string
}

// NewSecret returns a Secret with this value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// Set says whether there is a value.
func (s Secret) Set() bool { return s.value != "" }

func (s Secret) String() string {
	if s.value == "" && s.file == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from reaching inside.
func (s Secret) GoString() string { return "app.Secret(" + s.String() + ")" }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler; JSON goes through it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML implements yaml.Marshaler.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML takes a string, or {file: PATH}, which Load reads.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		*s = Secret{value: n.Value}
		return nil
	case yaml.MappingNode:
		if len(n.Content) == 2 && n.Content[0].Value == "file" && n.Content[1].Kind == yaml.ScalarNode {
			*s = Secret{file: n.Content[1].Value}
			return nil
		}
	}
	return fmt.Errorf("line %d: a secret is a string or {file: PATH}", n.Line)
}

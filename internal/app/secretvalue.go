package app

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// masked is how every secret prints (KEY-08).
const masked = "********"

// Secret is a configured secret: written down, or what a file holds or a command prints. It prints masked in every way
// and must be asked to reveal itself.
type Secret struct {
	// value is behind a pointer for fmt, which calls no method of what it reaches through an unexported field of somebody
	// else's struct: it prints an address.
	value   *string
	file    string
	command []string
}

// NewSecret returns a Secret with this value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Set says whether there is a value.
func (s Secret) Set() bool { return s.Reveal() != "" }

func (s Secret) String() string {
	if !s.Set() && s.file == "" && s.command == nil {
		return ""
	}
	return masked
}

// Format implements fmt.Formatter: every verb prints the mask, %#v and %x too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler; JSON goes through it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML implements yaml.Marshaler.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML takes a string, or {file: PATH} or {command: [PATH, ARGUMENT…]}, which Load reads and runs.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*s = NewSecret(n.Value)
		return nil
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		switch name, value := n.Content[0].Value, n.Content[1]; {
		case name == "file" && value.Kind == yaml.ScalarNode:
			*s = Secret{file: value.Value}
			return nil
		case name == "command" && value.Kind == yaml.SequenceNode && len(value.Content) > 0:
			*s = Secret{}
			return value.Decode(&s.command)
		}
	}
	return fmt.Errorf("line %d: a secret is a string, {file: PATH} or {command: [PATH, ARGUMENT, …]}", n.Line)
}

// read gets the value from where it is.
func (s *Secret) read(src Source) error {
	var get func() (string, error)
	switch {
	case s.file != "" && src.ReadSecret == nil, s.command != nil && src.RunSecret == nil:
		return fmt.Errorf("secrets are read from no files and commands here")
	case s.file != "":
		get = func() (string, error) { return src.ReadSecret(s.file) }
	case s.command != nil:
		get = func() (string, error) { return src.RunSecret(s.command) }
	default:
		return nil
	}
	text, err := get()
	if err != nil {
		return err
	}
	text = strings.TrimRight(text, "\r\n")
	s.value = &text
	return nil
}

// namedSecret is a Secret of a configuration, under the name that the file gives it.
type namedSecret struct {
	Secret
	name string
}

// allSecrets are the secrets of a configuration that have a value, found by their type: one that is added later is masked,
// kept out of reports and compared like the others.
func (c Config) allSecrets() []namedSecret {
	var all []namedSecret
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		if s, is := v.Interface().(Secret); is {
			if s.Set() {
				all = append(all, namedSecret{s, name})
			}
			return
		}
		if v.Kind() != reflect.Struct {
			return
		}
		for i := range v.NumField() {
			key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			switch {
			case option == "inline":
				walk(v.Field(i), name)
			case key != "" && key != "-":
				walk(v.Field(i), strings.TrimPrefix(name+"."+key, "."))
			}
		}
	}
	walk(reflect.ValueOf(c), "")
	return all
}

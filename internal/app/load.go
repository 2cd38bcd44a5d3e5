package app

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Source is where configuration comes from besides the file; the caller reads the outside world for it.
type Source struct {
	// LookupEnv is os.LookupEnv, or nothing.
	LookupEnv func(string) (string, bool)
	// Environ lists NAME=VALUE pairs, to refuse PAROLA_ names that mean nothing.
	Environ []string
	// ReadSecret returns the text of a secret's file; it refuses files that others may read (KEY-07).
	ReadSecret func(path string) (string, error)
	// RunSecret returns what a secret's command prints. It runs no shell, waits a bounded time, and puts nothing of what the
	// command says into an error.
	RunSecret func(command []string) (string, error)
}

// Load lays a YAML document (which may be empty) and then the environment over base, gets secrets from their files and
// commands, and returns the result unchecked; Check judges it. Unknown keys and values of the wrong type are errors that
// say where.
func Load(base Config, document []byte, src Source) (Config, error) {
	c := base
	d := yaml.NewDecoder(bytes.NewReader(document))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read configuration: %s", inPlainWords(err))
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("read configuration: more than one document")
	}
	known := make(map[string]bool)
	if err := overlay(reflect.ValueOf(&c).Elem(), "PAROLA", "", src, known); err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	for _, pair := range src.Environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "PAROLA_") && !known[name] && !slices.Contains(notConfiguration, name) {
			return Config{}, fmt.Errorf("read environment: %s names no setting", name)
		}
	}
	return c, nil
}

var unknownField = regexp.MustCompile(`line (\d+): field (\S+) not found in type \S+`)

// inPlainWords rewrites what the YAML library says of unknown keys, which names Go types.
func inPlainWords(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n")
	text = unknownField.ReplaceAllString(text, "line $1: $2 names no setting (`parola config init` writes all there are)")
	return strings.Join(strings.Fields(text), " ")
}

// notConfiguration are variables with our prefix that are no settings: where the file is, and what the tests use.
var notConfiguration = []string{"PAROLA_CONFIG", "PAROLA_CI", "PAROLA_TEST_POSTGRES"}

// overlay walks the struct; the name of a variable is that of the parent and the yaml key, and setting is the same as the
// file writes it.
func overlay(v reflect.Value, name, setting string, src Source, known map[string]bool) error {
	switch p := v.Addr().Interface().(type) {
	case *Secret:
		known[name], known[name+"_FILE"] = true, true
		return overlaySecret(p, name, setting, src)
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if option == "inline" {
				if err := overlay(v.Field(i), name, setting, src, known); err != nil {
					return err
				}
				continue
			}
			if key == "" || key == "-" {
				continue
			}
			if err := overlay(v.Field(i), name+"_"+strings.ToUpper(key), strings.TrimPrefix(setting+"."+key, "."), src, known); err != nil {
				return err
			}
		}
		return nil
	}
	known[name] = true
	if src.LookupEnv == nil {
		return nil
	}
	text, set := src.LookupEnv(name)
	if !set {
		return nil
	}
	if err := setFromText(v, text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func overlaySecret(s *Secret, name, setting string, src Source) error {
	if src.LookupEnv != nil {
		if value, set := src.LookupEnv(name); set {
			*s = NewSecret(value)
		}
		if file, set := src.LookupEnv(name + "_FILE"); set {
			*s = Secret{file: file}
		}
	}
	if err := s.read(src); err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	return nil
}

func setFromText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case []string:
		v.Set(reflect.ValueOf(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		v.SetFloat(x)
		return err
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case reflect.Map: // sms.routes and the like, as YAML writes them on one line
		return yaml.Unmarshal([]byte(text), v.Addr().Interface())
	default:
		return fmt.Errorf("cannot be set from the environment")
	}
	return nil
}

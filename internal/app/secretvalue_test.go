package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everySecretSet gives each Secret of a configuration, wherever it stands, a value of its own, and returns those.
func everySecretSet(t *testing.T) (Config, []string) {
	c := complete()
	var values []string
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[Secret]():
			value := freshSecret(32)
			values = append(values, value)
			v.Set(reflect.ValueOf(NewSecret(value)))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(&c).Elem())
	if len(values) < 20 || len(values) != len(c.allSecrets()) {
		t.Fatalf("%d secrets were set, and %d are found by their names", len(values), len(c.allSecrets()))
	}
	return c, values
}

// outsider keeps a configuration where fmt can reach it and may call none of its methods.
type outsider struct {
	config Config
	one    Secret
}

func TestKEY08_NoSecretIsInAnythingThatPrints(t *testing.T) {
	c, values := everySecretSet(t)
	printed := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for name, v := range map[string]any{"configuration": c, "pointer": &c, "secret": c.Secrets.Root, "inside": outsider{c, c.Secrets.Root},
			"in a list": []any{c.Secrets, map[string]Secret{"root": c.Secrets.Root}}} {
			printed[name+" by "+verb] = fmt.Sprintf(verb, v)
		}
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(h).Info("configuration", "all", c, "one", c.Secrets.Root, "twilio", c.SMS.Twilio, "inside", outsider{c, c.Secrets.Root})
	}
	printed["the log"] = logged.String()
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed["JSON"], printed["YAML"] = string(asJSON), string(asYAML)
	printed["an error"] = fmt.Errorf("read %v: %w", c.Secrets, errors.New(fmt.Sprint(c))).Error()
	printed["a panic"] = panicOf(func() { panic(outsider{c, c.Secrets.Root}) })
	c.MFA.Countries, c.Secrets.Previous, c.WhatsApp.AppSecret = nil, NewSecret(c.Secrets.Root.Reveal()), c.WhatsApp.AccessToken
	printed["what Check says"] = c.Check().Error()
	printed["warnings"] = strings.Join(c.Warnings(), "\n")
	for what, text := range printed {
		for _, value := range values {
			if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) {
				t.Errorf("%s shows a secret: %.200s", what, text)
			}
		}
	}
	if !strings.Contains(printed["JSON"], masked) || !strings.Contains(printed["YAML"], masked) || !strings.Contains(printed["configuration by %+v"], masked) {
		t.Error("a secret that is set does not show as the mask")
	}
}

// panicOf is what a recovered panic and its stack print.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprintf("%v %+v\n%s", recover(), recover(), debug.Stack()) }()
	f()
	return ""
}

// TestKEY08_KeysPrintNothing is about what is made from the root secret.
func TestKEY08_KeysPrintNothing(t *testing.T) {
	b, _ := openBase(t)
	root, err := b.config.Secrets.Root.rootBytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", b, b, b), fmt.Sprintf("%v %+v %#v %x", b.keys, b.keys, b.keys, b.keys), fmt.Sprintf("%+v", *b)} {
		for _, shown := range []string{string(root), fmt.Sprint(root), fmt.Sprintf("%x", root), fmt.Sprintf("%#v", root), b.config.Secrets.Root.Reveal()} {
			if strings.Contains(text, strings.Trim(shown, "[]")) {
				t.Errorf("the root secret is in %.300s", text)
			}
		}
	}
}

func TestKEY08_AConnectionStringIsInNoError(t *testing.T) {
	for _, dsn := range []string{
		"postgres://parola:h3Vm6wq9Jm0b@db.example:notaport/parola", "postgres://parola:h3Vm6wq9Jm0b@db.example/parola?sslmode=maybe",
		"host=db.example user=parola password=h3Vm6wq9Jm0b sslmode=maybe", "postgres://parola:h3Vm6wq9Jm0b@127.0.0.1:1/parola",
	} {
		c := complete()
		onPostgres(dsn)(&c)
		_, err := Open(t.Context(), c, Options{})
		if err == nil || strings.Contains(err.Error(), "h3Vm6wq9Jm0b") {
			t.Errorf("%v", err)
		}
	}
}

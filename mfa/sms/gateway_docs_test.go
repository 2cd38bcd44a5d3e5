package sms_test

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/parola-id/parola/mfa/sms"
)

func TestGateway_DocumentedExamplesAreTaken(t *testing.T) {
	page, err := os.ReadFile("../../docs/sms-carriers.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		var c sms.GatewayConfig
		d := yaml.NewDecoder(bytes.NewReader(example[1]))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil {
			t.Errorf("%v in\n%s", err, example[1])
			continue
		}
		c.Config = sms.Config{
			CallbackURL: "https://login.example.com/webhooks/sms/gateway", Text: func(string, string) (string, error) { return "", nil },
		}
		c.Password, c.Token, c.CallbackSecrets = "secret", "secret", []string{"callback secret"}
		if _, err := sms.NewGateway(c); err != nil {
			t.Errorf("%v in\n%s", err, example[1])
		}
	}
}

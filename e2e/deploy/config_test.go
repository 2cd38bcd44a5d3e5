package deploy

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/app"
)

// filledIn is what an operator adds to the configurations that this repository offers.
var filledIn = map[string]string{
	"PAROLA_ISSUER": "https://login.shop.test", "PAROLA_SERVICE_NAME": "Shop", "PAROLA_SERVER_TRUSTED_PROXIES": "10.87.0.0/24",
	"PAROLA_WHATSAPP_ACCOUNT_ID": "102000000000001", "PAROLA_WHATSAPP_PHONE_NUMBER_ID": "106000000000001",
	"PAROLA_SMS_TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef", "PAROLA_SMS_TWILIO_FROM": "+12025550123", "PAROLA_MFA_COUNTRIES": "IT",
}

// TestConfigurationsNeedNothingButAccounts reads the configurations for docker compose and Kubernetes. With names, accounts
// and secrets filled in a server starts with them; without, it says what is missing.
func TestConfigurationsNeedNothingButAccounts(t *testing.T) {
	dir := checkout(t)
	initialised(t, dir, "login.shop.test")
	secrets := map[string]string{"root": strings.TrimSpace(read(t, filepath.Join(dir, "installation/secrets/root"))), "dsn": "postgres://parola@db/parola?sslmode=verify-full"}
	asked := 0
	readSecret := func(path string) (string, error) {
		name := filepath.Base(path)
		asked++
		if value, known := secrets[name]; known {
			return value, nil
		}
		return "AbCdEfGhIjKlMnOp-of-" + name, nil
	}
	for _, path := range []string{filepath.Join(dir, "installation/parola.yaml"), filepath.Join(repository, "deploy/kubernetes/parola.yaml")} {
		document := []byte(read(t, path))
		if app.HoldsSecrets(document) {
			t.Errorf("%s holds secrets", path)
		}
		empty, err := app.Load(app.Defaults(), document, app.Source{ReadSecret: readSecret})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := empty.Check(); err == nil || !strings.Contains(err.Error(), "whatsapp.phone_number_id") || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%s is complete as it is: %v", path, err)
		}
		filled, err := app.Load(app.Defaults(), document, app.Source{ReadSecret: readSecret,
			LookupEnv: func(name string) (string, bool) { value, set := filledIn[name]; return value, set }})
		if err := errors.Join(err, filled.Check()); err != nil {
			t.Errorf("%s, filled in: %v", path, err)
		}
		if len(filled.Warnings()) > 0 {
			t.Errorf("%s, filled in: %v", path, filled.Warnings())
		}
	}
	if asked < 12 {
		t.Errorf("only %d secrets are read from files", asked)
	}
}

func TestInitialisingTwiceChangesNothing(t *testing.T) {
	dir := checkout(t)
	initialised(t, dir, "login.shop.test")
	root := read(t, filepath.Join(dir, "installation/secrets/root"))
	for _, host := range []string{"demo", "other.shop.test", "", "a b", "$(id)"} {
		if code, said := initialise(dir, host); code == 0 || said == "" {
			t.Errorf("init.sh %q: exit %d, %s", host, code, said)
		}
	}
	if again := read(t, filepath.Join(dir, "installation/secrets/root")); again != root {
		t.Error("the root secret was overwritten")
	}
}

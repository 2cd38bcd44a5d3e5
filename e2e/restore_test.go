package e2e_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestREL13_NothingRevivesFromARestoredBackup makes a backup while the provider serves, as docs/operations.md says, goes on
// using what the backup holds as unused, restores it and raises the epoch.
func TestREL13_NothingRevivesFromARestoredBackup(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		in := harness.Install(t, harness.Options{DSN: dsn})
		provider := in.Run(nil)
		rp, ada, bea := in.RelyingParty(harness.WebClient), in.Person("ada"), in.Person("bea")

		signedIn, unfinished := in.Browser(), in.Browser()
		first := rp.Begin()
		answer, err := rp.Redeem(rp.AuthCode(t, signedIn.Login(first.URL, ada, "whatsapp"), first), first)
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("redeem: %v %s", err, answer.Body)
		}
		refresh, access := answer.Text("refresh_token"), answer.Text("access_token")
		second := rp.Begin()
		code := rp.AuthCode(t, signedIn.Get(second.URL), second)
		waiting := rp.Begin()
		page := unfinished.Password(waiting.URL, bea)
		passcode := bea.Phone.Passcode("whatsapp", 20*time.Second)
		keys := kids(t, rp)

		backup := filepath.Join(t.TempDir(), "backup")
		if dsn == "" {
			storagetest.ExecSQLite(t, in.Config.Database.Path, "VACUUM INTO '"+backup+"'")
		} else {
			postgresTool(t, "pg_dump", "--format=custom", "--file="+backup, dsn)
		}

		// The world goes on: the code and the refresh token are used, and both people's sessions change.
		if answer, err := rp.Redeem(code, second); err != nil || answer.Status != http.StatusOK {
			t.Fatalf("redeem after the backup: %v %s", err, answer.Body)
		}
		answer, err = rp.Refresh(refresh)
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("refresh after the backup: %v %s", err, answer.Body)
		}
		rotated := answer.Text("refresh_token")
		page = unfinished.Press(page, "Continue", "passcode", passcode)
		rp.AuthCode(t, page, waiting)
		in.Command(func(ctx context.Context, b *app.Base) error {
			_, err := b.EndSessionsOf(ctx, ada.Username)
			return err
		})
		provider.Stop()
		calls := in.Calls("whatsapp") + in.Calls("sms")

		restore(t, in, dsn, backup)
		in.Config.Database.Epoch = 1
		provider = in.Run(nil)
		nothingRevives := func() {
			t.Helper()
			for name, try := range map[string]func() (harness.Answer, error){
				"the used code":                 func() (harness.Answer, error) { return rp.Redeem(code, second) },
				"the used refresh token":        func() (harness.Answer, error) { return rp.Refresh(refresh) },
				"the one that came after":       func() (harness.Answer, error) { return rp.Refresh(rotated) },
				"the access token":              func() (harness.Answer, error) { return rp.UserInfo(access) },
				"the first code, used long ago": func() (harness.Answer, error) { return rp.Redeem("x"+code, first) },
			} {
				if answer, err := try(); err != nil || answer.Status != http.StatusBadRequest && answer.Status != http.StatusUnauthorized {
					t.Errorf("%s: %v %d %s", name, err, answer.Status, answer.Body)
				}
			}
			for name, browser := range map[string]*harness.Browser{"ada": signedIn, "bea": unfinished} {
				silent := rp.Begin("prompt", "none")
				if answer := browser.Get(silent.URL); answer.URL.Query().Get("error") != "login_required" {
					t.Errorf("%s is signed in: %s", name, answer.URL)
				}
			}
			if in.Calls("whatsapp")+in.Calls("sms") != calls {
				t.Error("a message of the backup was sent again")
			}
		}
		nothingRevives()
		if slices.ContainsFunc(kids(t, rp), func(kid string) bool { return slices.Contains(keys, kid) }) {
			t.Error("a signing key of the backup is still published")
		}
		in.Command(func(ctx context.Context, b *app.Base) error {
			if told := events(t, open(t, in), audit.SystemEpoch); len(told) != 1 || told[0].Data["to"] != "1" || told[0].Data["sessions"] != "1" {
				t.Errorf("the event of the restore: %+v", told)
			}
			report, err := b.VerifyAudit(ctx, nil, nil)
			if err == nil && !report.OK() {
				t.Errorf("the restored log: %+v", report.Problems)
			}
			return err
		})

		// Everybody can sign in anew.
		again := rp.Begin()
		answer, err = rp.Redeem(rp.AuthCode(t, in.Browser().Login(again.URL, bea, "whatsapp"), again), again)
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("sign in after the restore: %v %s", err, answer.Body)
		}
		if answer, err := rp.Refresh(answer.Text("refresh_token")); err != nil || answer.Status != http.StatusOK {
			t.Errorf("refresh after the restore: %v %s", err, answer.Body)
		}
		provider.Stop()
		calls = in.Calls("whatsapp") + in.Calls("sms")

		// A configuration from before the restore is refused, and a copy from before it is known by itself.
		behind := in.Config
		behind.Database.Epoch = 0
		if b, err := app.Open(t.Context(), behind, app.Options{}); err == nil {
			b.Close()
			t.Error("opened with an epoch before the database's")
		} else if !strings.Contains(err.Error(), "set it to 1") {
			t.Errorf("the refusal does not help: %v", err)
		}
		restore(t, in, dsn, backup)
		in.Run(nil)
		nothingRevives()
	})
}

func restore(t *testing.T, in *harness.Installation, dsn, backup string) {
	t.Helper()
	if dsn != "" {
		postgresTool(t, "pg_restore", "--clean", "--if-exists", "--exit-on-error", "--dbname="+dsn, backup)
		return
	}
	path := in.Config.Database.Path
	for _, old := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(old); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(backup)
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// postgresTool runs a program that comes with PostgreSQL.
func postgresTool(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			harness.Missing(t, name+" comes with PostgreSQL's client programs")
		}
		program = found[len(found)-1]
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// keysMade waits for the first RSA key, which takes a while to make: longer than a request may on a busy machine.
func keysMade(t *testing.T, rp *harness.RelyingParty) (answer harness.Answer) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the provider publishes its keys", func() bool {
		var err error
		answer, err = rp.Get("/jwks")
		return err == nil && answer.Status == http.StatusOK
	})
	return answer
}

// kids are the keys that the provider publishes.
func kids(t *testing.T, rp *harness.RelyingParty) (list []string) {
	t.Helper()
	answer := keysMade(t, rp)
	keys, _ := answer.JSON["keys"].([]any)
	for _, key := range keys {
		list = append(list, key.(map[string]any)["kid"].(string))
	}
	if len(list) == 0 {
		t.Fatalf("no keys are published: %s", answer.Body)
	}
	return list
}

package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// everything is the whole database as text.
func everything(t *testing.T, in *harness.Installation) (text string) {
	t.Helper()
	in.Command(func(ctx context.Context, b *app.Base) error {
		var packed bytes.Buffer
		if _, err := b.Dump(ctx, &packed); err != nil {
			return err
		}
		r, err := gzip.NewReader(&packed)
		if err != nil {
			return err
		}
		clear, err := io.ReadAll(r)
		text = string(clear)
		return err
	})
	return text
}

// TestDAT04_DAT05_DAT07_APersonIsHandedTheirDataAndErased takes a person through wrong passwords and passcodes, a login, and a
// second one that waits for its passcode, and then looks for them in every column of every table.
func TestDAT04_DAT05_DAT07_APersonIsHandedTheirDataAndErased(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		in := harness.Install(t, harness.Options{DSN: dsn})
		in.Run(nil)
		store := open(t, in)
		rp, partner, ada, bea := in.RelyingParty(harness.WebClient), in.RelyingParty(harness.PartnerClient), in.Person("ada"), in.Person("bea")
		in.Command(func(ctx context.Context, b *app.Base) error {
			_, _, err := b.SetPhone(ctx, ada.Username, ada.Phone.Number, true) // an event of a changed phone
			return err
		})

		wrong := ada
		wrong.Password = "not my password at all"
		browser := in.Browser()
		browser.Password(rp.Begin().URL, wrong)
		first := rp.Begin("login_hint", ada.Username)
		page := browser.Password(first.URL, ada)
		passcode := ada.Phone.Passcode("whatsapp", 20*time.Second)
		page = browser.Press(page, "Continue", "passcode", otherPasscode(passcode))
		answer, err := rp.Redeem(rp.AuthCode(t, browser.Press(page, "Continue", "passcode", passcode), first), first)
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("redeem: %v %s", err, answer.Body)
		}
		refresh := answer.Text("refresh_token")
		allowed := partner.Begin()
		partner.AuthCode(t, browser.Press(browser.Get(allowed.URL), "Allow"), allowed)
		waiting := in.Browser()
		challenge := waiting.Password(rp.Begin().URL, ada)
		late := ada.Phone.Passcode("whatsapp", 20*time.Second)
		again := rp.Begin()
		if _, err := rp.Redeem(rp.AuthCode(t, in.Browser().Login(again.URL, bea, "whatsapp"), again), again); err != nil {
			t.Fatal(err)
		}

		person, factors, err := store.PersonByUsername(t.Context(), ada.Username)
		if err != nil {
			t.Fatal(err)
		}
		var export app.Export
		in.Command(func(ctx context.Context, b *app.Base) (err error) {
			export, err = b.ExportUser(ctx, ada.Username, "ticket 4711")
			return err
		})
		if export.Phone == nil || export.Phone.Number != ada.Phone.Number || len(export.Sessions) != 1 || len(export.Grants) != 2 ||
			len(export.Consents) != 1 || len(export.Challenges) != 2 || len(export.Challenges[0].Messages) != 1 || len(export.Events) < 15 {
			t.Errorf("the export lacks something: %+v", export)
		}
		text, err := json.Marshal(export)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string]string{"the password's hash": factors.Password.Hash, "the number's hash": factors.Phone.Hash, "somebody else": bea.Username} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the export holds %s", name)
			}
		}

		traces := map[string]string{
			"the user name": ada.Username, "the e-mail address": ada.Username + "@example", "the number": ada.Phone.Number[1:],
			"the number's hash": factors.Phone.Hash, "the phone's id": factors.Phone.ID, "the password's hash": factors.Password.Hash,
			"the number's beginning": ada.Phone.Number[:len(ada.Phone.Number)-6],
		}
		before := everything(t, in)
		for _, name := range []string{"the user name", "the number's hash", "the phone's id"} {
			if !strings.Contains(before, traces[name]) {
				t.Fatalf("%s is not in the database: the search below cannot fail", name)
			}
		}
		in.Command(func(ctx context.Context, b *app.Base) error {
			_, err := b.EraseUser(ctx, ada.Username, "ticket 4712")
			return err
		})
		after := everything(t, in)
		for name, trace := range traces {
			if name == "the number's beginning" && strings.HasPrefix(bea.Phone.Number, trace) {
				continue
			}
			if strings.Contains(after, trace) {
				t.Errorf("%s is still in the database: …%s…", name, around(after, trace))
			}
		}
		if !strings.Contains(after, person.ID) || !strings.Contains(after, bea.Username) {
			t.Error("the pseudonym, or somebody else, is gone too")
		}

		// Nothing of theirs works any more, and the log is whole.
		if answer, err := rp.Refresh(refresh); err != nil || answer.Status != http.StatusBadRequest {
			t.Errorf("the refresh token: %v %d %s", err, answer.Status, answer.Body)
		}
		if answer := browser.Get(rp.Begin("prompt", "none").URL); answer.URL.Query().Get("error") != "login_required" {
			t.Errorf("the session goes on: %s", answer.URL)
		}
		if page, err := waiting.TryPress(challenge, "Continue", "passcode", late); err == nil && page.Stopped {
			t.Error("the challenge went on")
		}
		if told := events(t, store, audit.AccountErased); len(told) != 1 || told[0].PersonID != person.ID || told[0].Data["reason"] != "ticket 4712" {
			t.Errorf("the event: %+v", told)
		}
		harness.Eventually(t, 5*time.Second, "the erasure is sealed", func() bool {
			unsealed, err := store.UnsealedEvents(t.Context(), 10)
			return err == nil && len(unsealed) == 0
		})
		in.Command(func(ctx context.Context, b *app.Base) error {
			report, err := b.VerifyAudit(ctx, nil, nil)
			if err == nil && !report.OK() {
				t.Errorf("the log: %+v", report.Problems)
			}
			return err
		})
		kept, err := store.ListEvents(t.Context(), storage.EventFilter{PersonID: person.ID, Limit: 1000})
		if err != nil || len(kept) < len(export.Events) {
			t.Errorf("%d events of the pseudonym are left of %d: %v", len(kept), len(export.Events), err)
		}
	})
}

// otherPasscode is a wrong one.
func otherPasscode(right string) string {
	last := right[len(right)-1]
	return right[:len(right)-1] + string('0'+(last-'0'+1)%10)
}

// around shows where a text was found.
func around(text, part string) string {
	i := strings.Index(text, part)
	return text[max(0, i-120):min(len(text), i+len(part)+60)]
}

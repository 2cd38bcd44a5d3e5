package mfa

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func (w *world) hear(bulletins ...Bulletin) {
	w.Helper()
	if err := w.Hear(w.ctx(), bulletins); err != nil {
		w.Fatal(err)
	}
}

// bulletin is one about the account, at so long after the start.
func bulletin(kind string, after time.Duration, change ...func(*Bulletin)) Bulletin {
	b := Bulletin{Channel: storage.WhatsApp, Carrier: "meta", Kind: kind, Severity: audit.Warning, At: testStart.Add(after)}
	for _, f := range change {
		f(&b)
	}
	return b
}

func holds(circuit string) func(*Bulletin) {
	return func(b *Bulletin) { b.Hold, b.Severity = circuit, audit.High }
}
func releases(circuit string) func(*Bulletin) {
	return func(b *Bulletin) { b.Release, b.Severity = circuit, audit.Info }
}

// wantCircuits checks what is open or held: "name reason" each.
func (w *world) wantCircuits(want ...string) {
	w.Helper()
	circuits, err := w.db.Circuits(w.ctx())
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, c := range circuits {
		got = append(got, c.Name+" "+c.Reason)
	}
	if !slices.Equal(got, want) {
		w.Errorf("circuits %q, want %q", got, want)
	}
}

func TestHear_EachSeverityHasItsEventAndHighCallsAnOperator(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(time.Minute)
	for severity, kind := range map[string]string{
		audit.Info: audit.CarrierBulletin, audit.Warning: audit.CarrierWarning, audit.High: audit.CarrierAlarm,
	} {
		w.hear(bulletin("pin_changed", 0, func(b *Bulletin) {
			b.Severity, b.Subject, b.Detail = severity, "number", map[string]string{"requester": "somebody", "carrier": "forged"}
		}))
		got := w.events(kind)
		if len(got) != 1 {
			t.Fatalf("%s: %d events", severity, len(got))
		}
		e := got[0]
		if e.Severity != severity || e.Reason != "pin_changed" || e.Channel != "whatsapp" || e.Data["carrier"] != "meta" ||
			e.Data["subject"] != "number" || e.Data["requester"] != "somebody" || e.Data["at"] != "2026-09-14T12:00:00Z" {
			t.Errorf("%s: event %+v", severity, e)
		}
	}
	if want := []Alarm{{Channel: storage.WhatsApp, Kind: "carrier_bulletin", Carrier: "meta", Code: "pin_changed"}}; !slices.Equal(w.alarms, want) {
		t.Errorf("alarms %+v", w.alarms)
	}
}

func TestHear_ARepetitionIsHeardOnce(t *testing.T) {
	w := newWorld(t)
	paused := bulletin("template_paused", 0, holds(TemplateCircuit("it")))
	for range 8 { // Meta repeats up to seven days
		w.hear(paused)
		w.clock.Advance(24 * time.Hour)
	}
	w.wantEvents(audit.CarrierAlarm, 1)
	w.clock.Advance(2 * 24 * time.Hour)
	w.hear(paused) // beyond our memory, and beyond what anybody repeats
	w.wantEvents(audit.CarrierAlarm, 1)

	now := w.clock.Now().Sub(testStart)
	w.hear(bulletin("template_paused", now), bulletin("template_paused", now, func(b *Bulletin) { b.Subject = "passcode/pt_BR" }))
	w.wantEvents(audit.CarrierWarning, 2) // news of the same second about something else
}

func TestHear_TheSameWordsWithoutADateAreNewsAfterAnHour(t *testing.T) {
	w := newWorld(t)
	undated := bulletin("account_error", 0, func(b *Bulletin) { b.At = time.Time{} })
	w.hear(undated, undated)
	w.clock.Advance(30 * time.Minute)
	w.hear(undated)
	w.wantEvents(audit.CarrierWarning, 1)
	w.clock.Advance(31 * time.Minute)
	w.hear(undated)
	w.wantEvents(audit.CarrierWarning, 2)
}

func TestHear_HoldsAndReleasesInWhateverOrderTheyCome(t *testing.T) {
	var (
		meta       = CarrierCircuit("meta")
		restricted = bulletin("account_restricted", 0, holds(meta))
		reinstated = bulletin("account_reinstated", time.Hour, releases(meta))
		disabled   = bulletin("account_disabled", 2*time.Hour, holds(meta))
		italian    = bulletin("template_paused", 0, holds(TemplateCircuit("it")))
		approved   = bulletin("template_approved", time.Hour, releases(TemplateCircuit("it")))
	)
	for name, tt := range map[string]struct {
		said [][]Bulletin
		want []string
	}{
		"held":                          {[][]Bulletin{{restricted}}, []string{"carrier/meta account_restricted"}},
		"held and released":             {[][]Bulletin{{restricted}, {reinstated}}, nil},
		"in one callback, reversed":     {[][]Bulletin{{reinstated, restricted}}, nil},
		"the hold comes after its end":  {[][]Bulletin{{reinstated}, {restricted}}, nil},
		"held again":                    {[][]Bulletin{{restricted}, {reinstated}, {disabled}}, []string{"carrier/meta account_disabled"}},
		"the release is older":          {[][]Bulletin{{disabled}, {reinstated}}, []string{"carrier/meta account_disabled"}},
		"an older hold after a newer":   {[][]Bulletin{{disabled}, {restricted}, {reinstated}}, []string{"carrier/meta account_disabled"}},
		"a newer hold over an older":    {[][]Bulletin{{restricted}, {disabled}, {reinstated}}, []string{"carrier/meta account_disabled"}},
		"a template is not the account": {[][]Bulletin{{italian}, {reinstated}}, []string{"template/it template_paused"}},
		"a template":                    {[][]Bulletin{{italian}, {restricted}, {approved}}, []string{"carrier/meta account_restricted"}},
		"released without a hold":       {[][]Bulletin{{approved}, {reinstated}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock.Advance(3 * time.Hour)
			for _, callback := range tt.said {
				w.hear(callback...)
			}
			w.wantCircuits(tt.want...)
		})
	}
}

func TestHear_TellsOfACircuitOnlyWhenItMoves(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(3 * time.Hour)
	meta := CarrierCircuit("meta")
	w.hear(bulletin("account_restricted", 0, holds(meta)))
	w.hear(bulletin("account_disabled", time.Minute, holds(meta)))
	w.wantEvents(audit.CircuitOpened, 1)
	w.hear(bulletin("account_reinstated", time.Hour, releases(meta)))
	w.hear(bulletin("account_review", 2*time.Hour, releases(meta)))
	w.wantEvents(audit.CircuitClosed, 1)
}

func TestHear_AnOperatorsHoldIsNotTheCarriersToRelease(t *testing.T) {
	w := newWorld(t)
	meta := CarrierCircuit("meta")
	w.tx(func(ctx context.Context) error {
		_, err := w.db.OpenCircuit(ctx, storage.Circuit{Name: meta, Held: true, Reason: reasonOperator, OpenedAt: testStart})
		return err
	})
	w.clock.Advance(time.Hour)
	w.hear(bulletin("account_restricted", time.Minute, holds(meta)), bulletin("account_reinstated", time.Hour, releases(meta)))
	w.wantCircuits("carrier/meta operator")
}

func TestHear_AHeldCarrierIsPassedOver(t *testing.T) {
	w := newWorld(t)
	w.hear(bulletin("account_disabled", 0, holds(CarrierCircuit("meta"))))
	if err := w.keepCircuits(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.wantTrail(w.begin(), "sms circuit queued")
	w.clock.Advance(time.Minute)
	w.hear(bulletin("account_reinstated", time.Minute, releases(CarrierCircuit("meta"))))
	if err := w.keepCircuits(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.wantTrail(w.begin(), "whatsapp first queued")
}

func TestHear_ForgedFormsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(9 * 24 * time.Hour)
	before := len(w.events())
	now := w.clock.Now().Sub(testStart)
	w.hear(
		bulletin("", now), bulletin("Two Words", now), bulletin(strings.Repeat("k", 41), now),
		bulletin("stale", 0, holds(CarrierCircuit("meta"))),
		bulletin("account_disabled", now, func(b *Bulletin) { b.Carrier = "" }),
	)
	if got := len(w.events()); got != before {
		t.Errorf("%d events more", got-before)
	}
	for i, circuit := range []string{"carrier/twilio", "carrier/", "country/sms/IT", "operator", "template/" + strings.Repeat("x", 50)} {
		w.hear(bulletin(fmt.Sprint("moves_", i), now, holds(circuit)))
	}
	w.hear(bulletin("template_paused", now, holds("template/it"), func(b *Bulletin) { b.Channel, b.Carrier = storage.SMS, "twilio" }))
	w.wantCircuits()
	if err := w.Hear(w.ctx(), make([]Bulletin, MaxReports+1)); err == nil {
		t.Error("a batch beyond the bound was taken")
	}
}

func TestHear_WhenStorageIsDownTheCarrierMustSendAgain(t *testing.T) {
	w := newWorld(t)
	w.db.Close()
	if err := w.Hear(w.ctx(), []Bulletin{bulletin("account_disabled", 0, holds(CarrierCircuit("meta")))}); err == nil {
		t.Error("no error")
	}
}

func TestTidied_KeepsLittleAndNothingThatATerminalMinds(t *testing.T) {
	b := bulletin("account_alert", 0, func(b *Bulletin) {
		b.Severity, b.Subject = "catastrophic", "a\x1b[31m\u202eb\n"+strings.Repeat("è", 300)
		b.Detail = map[string]string{"Not A Word": "x", "empty": "\x00", "long": strings.Repeat("x", 1000)}
		for i := range 50 {
			b.Detail[fmt.Sprint("more_", i)] = "y"
		}
	})
	got, ok := tidied(b, testStart)
	if !ok || got.Severity != audit.Warning || len(got.Detail) != maxDetails || len(got.Detail["long"]) != maxText {
		t.Errorf("tidied %+v, %v", got, ok)
	}
	if !strings.HasPrefix(got.Subject, "a[31mbè") || len(got.Subject) > maxText || !utf8.ValidString(got.Subject) {
		t.Errorf("subject %q", got.Subject)
	}
	for _, name := range []string{"Not A Word", "empty"} {
		if _, kept := got.Detail[name]; kept {
			t.Errorf("kept %q", name)
		}
	}
}

func FuzzTidied(f *testing.F) {
	f.Add("account_update", "meta", "passcode/it", "carrier/meta", "reason", "text", int64(0))
	f.Fuzz(func(t *testing.T, kind, carrier, subject, circuit, name, value string, seconds int64) {
		b := Bulletin{
			Channel: storage.WhatsApp, Carrier: carrier, Kind: kind, Subject: subject, Hold: circuit, Release: circuit,
			At: time.Unix(seconds, 0), Detail: map[string]string{name: value},
		}
		got, ok := tidied(b, testStart)
		if !ok {
			return
		}
		for _, s := range []string{got.Kind, got.Carrier, got.Subject, got.Hold, got.Detail[name]} {
			if len(s) > maxText || strings.ContainsAny(s, "\x00\n\r\x1b") || !utf8.ValidString(s) {
				t.Errorf("kept %q", s)
			}
		}
		if at := dated(got, testStart); at.After(testStart) {
			t.Errorf("counts from %v", at)
		}
	})
}

func TestHear_AMatterIsReleasedByItsOwnKindOnly(t *testing.T) {
	meta := CarrierCircuit("meta")
	w := newWorld(t)
	w.clock.Advance(10 * time.Minute)
	w.hear(bulletin("template_paused", 0, holds(meta)))
	w.hear(bulletin("account_disabled", time.Minute, holds(meta)))
	w.wantCircuits(meta + " account_disabled")
	w.hear(bulletin("template_paused", 2*time.Minute, holds(meta)))
	w.wantCircuits(meta + " account_disabled") // the graver matter stays
	w.hear(bulletin("template_approved", 3*time.Minute, releases(meta)), bulletin("account_review", 4*time.Minute, releases(meta)))
	w.wantCircuits(meta + " account_disabled")
	w.hear(bulletin("account_reinstated", 5*time.Minute, releases(meta)))
	w.wantCircuits()
}

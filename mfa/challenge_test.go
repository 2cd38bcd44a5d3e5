package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func TestStart_SendsOnWhatsAppFirst(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.wantTrail(c, "whatsapp first queued")
	if len(w.whatsApp.sent()) != 0 {
		t.Fatal("sent before the dispatcher ran")
	}
	w.work()
	w.wantTrail(c, "whatsapp first accepted")
	sent := w.whatsApp.sent()
	if len(sent) != 1 {
		t.Fatalf("%d messages", len(sent))
	}
	m := sent[0]
	if m.To.Reveal() != testNumber || m.Passcode.Reveal() != w.passcode(c) || m.DeliveryID != w.last(c).ID ||
		m.Locale != "it" || m.ValidFor != 5*time.Minute {
		t.Errorf("message %+v, passcode %v", m, m.Passcode.Reveal() == w.passcode(c))
	}
	for _, e := range w.events(audit.PasscodeQueued, audit.PasscodeSent) {
		if e.ChallengeID != c.ID || e.DeliveryID != m.DeliveryID || e.AuthRequestID != testRequest || e.PersonID != w.person ||
			e.ClientID != "client" || e.CorrelationID != "correlation" || e.Channel != "whatsapp" || e.SourceAddr != "192.0.2.7" ||
			e.Data["phone"] != "IT …67" || e.Data["carrier"] != "meta" {
			t.Errorf("event %+v", e)
		}
	}
	w.wantEvents(audit.PasscodeQueued, 1)
	w.wantEvents(audit.PasscodeSent, 1)
	w.wantNoSecrets(w.passcode(c))
}

func TestStart_ChoosesTheFirstChannel(t *testing.T) {
	noWhatsApp := func(w *world) {
		w.tx(func(ctx context.Context) error {
			return w.db.NoteNoWhatsApp(ctx, w.phone.Hash, testStart.Add(time.Hour))
		})
	}
	broken := func(w *world) {
		for i := range Defaults().CircuitFailures {
			w.circuits.outcome(CarrierCircuit("meta"), fmt.Sprint(i), false, testStart)
		}
	}
	only := func(ch storage.Channel) func(*Config) {
		return func(c *Config) {
			c.Carriers = slices.DeleteFunc(c.Carriers, func(c Carrier) bool { return c.Channel != ch })
		}
	}
	tests := []struct {
		name    string
		config  []func(*Config)
		prepare func(*world)
		policy  Policy
		want    string // first delivery, or empty for ErrNoChannel
	}{
		{"WhatsApp by default", nil, nil, Policy{}, "whatsapp first queued"},
		{"SMS for a number without WhatsApp", nil, noWhatsApp, Policy{}, "sms no_whatsapp queued"},
		{"SMS while Meta's circuit is open", nil, broken, Policy{}, "sms circuit queued"},
		{"WhatsApp anyway when SMS is denied", nil, noWhatsApp, Policy{Fallback: FallbackDeny}, "whatsapp first queued"},
		{"WhatsApp anyway when SMS is forbidden", nil, broken, Policy{SMSForbidden: true}, "whatsapp first queued"},
		{"WhatsApp anyway when the person is to be asked", nil, noWhatsApp, Policy{Fallback: FallbackAsk}, "whatsapp first queued"},
		{"WhatsApp without an SMS carrier", []func(*Config){only(storage.WhatsApp)}, broken, Policy{}, "whatsapp first queued"},
		{"SMS without WhatsApp", []func(*Config){only(storage.SMS)}, nil, Policy{}, "sms first queued"},
		{"nothing without WhatsApp when SMS is forbidden", []func(*Config){only(storage.SMS)}, nil, Policy{SMSForbidden: true}, ""},
		{"nothing without WhatsApp when SMS is denied", []func(*Config){only(storage.SMS)}, nil, Policy{Fallback: FallbackDeny}, ""},
		{"nothing to a country that is not served", []func(*Config){func(c *Config) { c.Settings.Countries = []string{"DE"} }}, nil, Policy{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.config...)
			if tt.prepare != nil {
				tt.prepare(w)
			}
			st := w.request()
			st.Policy = tt.policy
			c, err := w.Start(w.ctx(), st)
			if tt.want == "" {
				if !errors.Is(err, ErrNoChannel) {
					t.Errorf("got %v, want ErrNoChannel", err)
				}
				w.wantEvents(audit.PasscodeSendRefused, 1)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w.wantTrail(c, tt.want)
			if d := w.last(c); d.Automatic == c.FallbackAt.IsZero() {
				t.Errorf("automatic %v, fallback at %v", d.Automatic, c.FallbackAt)
			}
			if c.Policy.WhatsAppFirst != (w.last(c).Channel == storage.WhatsApp) {
				t.Error("the policy does not say which channel was first")
			}
		})
	}
}

func TestOTP25_OnlyVerifiedNumbersGetAPasscode(t *testing.T) {
	w := newWorld(t)
	unverified := w.phone
	unverified.VerifiedAt = time.Time{}
	w.tx(func(ctx context.Context) error { return w.db.PutPhone(ctx, unverified) })
	if _, err := w.Start(w.ctx(), w.request()); !errors.Is(err, ErrNoPhone) {
		t.Errorf("an unverified number: got %v", err)
	}
	st := w.request()
	st.PersonID = "nobody"
	if _, err := w.Start(w.ctx(), st); !errors.Is(err, ErrNoPhone) {
		t.Errorf("no number: got %v", err)
	}
	w.work()
	if len(w.whatsApp.sent())+len(w.sms.sent()) != 0 {
		t.Error("something was sent")
	}
	w.wantEvents(audit.PasscodeSendRefused, 2)
}

func TestOTP05_AChallengeHasOnePasscodeAndARequestOneChallenge(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	w.after(31 * time.Second)
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); err != nil {
		t.Fatal(err)
	}
	w.work()
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTrail(c, "whatsapp first accepted", "whatsapp again accepted", "sms asked accepted")
	for _, m := range append(w.whatsApp.sent(), w.sms.sent()...) {
		if m.Passcode.Reveal() != w.passcode(c) {
			t.Error("a repeated message has another passcode")
		}
		if want := c.ExpiresAt.Sub(testStart); m.ValidFor > want {
			t.Errorf("valid for %v", m.ValidFor)
		}
	}
	if !w.reload(c).ExpiresAt.Equal(c.ExpiresAt) {
		t.Error("sending again moved the end (OTP-02)")
	}
	newer := w.begin()
	if got := w.reload(c); got.End != storage.ChallengeReplaced {
		t.Errorf("the older challenge ended as %q", got.End)
	}
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended replaced" {
		t.Errorf("its passcode: %v", err)
	}
	if _, err := w.enter(newer, w.passcode(newer)); err != nil {
		t.Errorf("the newer passcode: %v", err)
	}
}

func TestOTP24_SendingLimitsHoldOverChallenges(t *testing.T) {
	w := newWorld(t)
	for range w.limits.SendsPerNumberHour {
		w.begin()
	}
	open, _ := w.Start(w.ctx(), w.request())
	_, err := w.Start(w.ctx(), w.request())
	var throttled *ThrottledError
	if !errors.As(err, &throttled) || !throttled.RetryAt.After(testStart) {
		t.Fatalf("got %v with challenge %q", err, open.ID)
	}
	if got := w.events(audit.PasscodeSendRefused); len(got) != 2 || got[0].Reason != "throttled" || got[0].Data["phone"] == testNumber {
		t.Errorf("events %+v", got)
	}
	w.clock.Advance(throttled.RetryAt.Sub(w.clock.Now()))
	if _, err := w.Start(w.ctx(), w.request()); err != nil {
		t.Errorf("at the time that was told: %v", err)
	}
}

func TestOTP24_ARefusedStartLeavesTheOlderChallengeOpen(t *testing.T) {
	w := newWorld(t)
	var last storage.Challenge
	for range w.limits.SendsPerNumberHour {
		last = w.begin()
	}
	if _, err := w.Start(w.ctx(), w.request()); err == nil {
		t.Fatal("not refused")
	}
	if _, err := w.enter(last, w.passcode(last)); err != nil {
		t.Errorf("the passcode that was sent: %v", err)
	}
}

func TestStart_JoinsTheCallersTransaction(t *testing.T) {
	w := newWorld(t)
	<-w.wake // the store's first word: anything may have been missed before
	undo := errors.New("undo")
	err := w.db.InTx(w.ctx(), func(ctx context.Context) error {
		if _, err := w.Start(ctx, w.request()); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	w.work()
	if len(w.whatsApp.sent()) != 0 || len(w.events()) != 0 {
		t.Error("something of a rolled back start remained")
	}
	select {
	case <-w.wake:
		t.Error("the dispatcher was woken")
	default:
	}
}

func TestSendBySMS_TheButton(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	var throttled *ThrottledError
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.As(err, &throttled) || !throttled.RetryAt.Equal(at(20)) {
		t.Errorf("too early: got %v", err)
	}
	if err := w.SendBySMS(w.ctx(), c.ID, "another"); asEnded(err) != "ended " {
		t.Errorf("from another AuthRequest: got %v", err)
	}
	if err := w.SendBySMS(w.ctx(), "none", testRequest); asEnded(err) != "ended " {
		t.Errorf("for no challenge: got %v", err)
	}
	w.clock.Advance(20 * time.Second)
	for range 2 { // tapped twice
		if err := w.SendBySMS(w.ctx(), c.ID, testRequest); err != nil {
			t.Fatal(err)
		}
	}
	w.work()
	w.wantTrail(c, "whatsapp first accepted", "sms asked accepted")
	d := w.last(c)
	if d.Automatic || !w.reload(c).FallbackAt.IsZero() {
		t.Error("it counts as the automatic fallback")
	}
	w.after(40 * time.Second)
	w.wantTrail(c, "whatsapp first accepted", "sms asked accepted")
}

func TestSendBySMS_IsRefusedWherePolicySaysSo(t *testing.T) {
	for name, p := range map[string]Policy{"deny": {Fallback: FallbackDeny}, "forbidden": {SMSForbidden: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.begin(policy(p))
			w.after(30 * time.Second)
			if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
				t.Errorf("got %v", err)
			}
			w.after(time.Minute)
			if len(w.sms.sent()) != 0 {
				t.Error("an SMS went out")
			}
		})
	}
}

func TestSendAgain_Refusals(t *testing.T) {
	w := newWorld(t)
	c := w.begin(policy(Policy{Fallback: FallbackDeny}))
	w.work()
	var throttled *ThrottledError
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); !errors.As(err, &throttled) || !throttled.RetryAt.Equal(at(30)) {
		t.Errorf("too early: got %v", err)
	}
	for _, wait := range []time.Duration{30, 60, 120} {
		w.after(wait * time.Second)
		if err := w.SendAgain(w.ctx(), c.ID, testRequest); err != nil {
			t.Fatalf("after %d s: %v", wait, err)
		}
		w.work()
	}
	w.after(time.Minute)
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
		t.Errorf("a fifth message: got %v", err)
	}
	w.clock.Advance(time.Hour)
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); asEnded(err) != "ended expired" {
		t.Errorf("past the end: got %v", err)
	}
}

func TestSendAgain_IsCountedByTheSendingLimits(t *testing.T) {
	w := newWorld(t)
	for range w.limits.SendsPerNumberHour - 1 {
		w.begin()
	}
	c := w.begin()
	w.clock.Advance(30 * time.Second)
	var throttled *ThrottledError
	if err := w.SendAgain(w.ctx(), c.ID, testRequest); !errors.As(err, &throttled) {
		t.Errorf("got %v", err)
	}
	w.wantTrail(c, "whatsapp first queued")
	w.wantEvents(audit.PasscodeSendRefused, 1)
}

func TestCancel_EndsTheChallengeAndDropsWhatIsQueued(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.tx(func(ctx context.Context) error { return w.Cancel(ctx, testRequest) })
	w.work()
	w.wantTrail(c, "whatsapp first skipped")
	if _, err := w.enter(c, w.passcode(c)); asEnded(err) != "ended cancelled" {
		t.Errorf("got %v", err)
	}
}

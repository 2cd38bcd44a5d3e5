package mfa

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

const (
	account      = "DF2lS5v2W6x="
	otherAccount = "Aq81Kd0c4Zg="
)

func binding(c *Config) { c.Settings.BindIdentity = true }

// arrived reports that a message reached an account.
func (w *world) arrived(d storage.Delivery, status storage.DeliveryState, identity string) {
	w.Helper()
	err := w.Receive(w.ctx(), []Report{{
		Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: status, At: w.clock.Now(), Identity: identity,
	}})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantBound(identity string) {
	w.Helper()
	phone, err := w.db.Phone(w.ctx(), w.phone.ID)
	if err != nil {
		w.Fatal(err)
	}
	got := ""
	if len(phone.Identity) > 0 {
		opened, err := testKeys.Open(secret.IdentitySeal, phone.ID, phone.Identity)
		if err != nil {
			w.Fatal(err)
		}
		got = string(opened)
	}
	if got != identity {
		w.Errorf("bound to %q, want %q", got, identity)
	}
}

// whole is one login by WhatsApp whose message reaches an account before the passcode is entered.
func (w *world) whole(identity string) {
	w.Helper()
	c := w.begin()
	w.work()
	w.arrived(w.last(c), storage.DeliveryDelivered, identity)
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		w.Fatal(err)
	}
}

func TestBindIdentity_TheFirstAccountThatProvesReceiptIsBoundAndSentTo(t *testing.T) {
	w := newWorld(t, binding)
	w.whole(account)
	w.wantBound(account)
	w.wantEvents(audit.IdentityBound, 1)
	w.whole(otherAccount) // it is not bound anew by itself
	w.wantBound(account)
	w.wantEvents(audit.IdentityBound, 1)
	sent := w.whatsApp.sent()
	if sent[0].Identity != "" || sent[1].Identity != account {
		t.Errorf("sent to accounts %q and %q", sent[0].Identity, sent[1].Identity)
	}
	w.wantNoSecrets(account, otherAccount)
}

func TestBindIdentity_AReceiptAfterTheEntryBindsToo(t *testing.T) {
	w := newWorld(t, binding)
	c := w.begin()
	w.work()
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	w.wantBound("")
	w.arrived(w.last(c), storage.DeliveryRead, account)
	w.wantBound(account)
	w.wantEvents(audit.IdentityBound, 1)
}

// Meta's own example of a status with an account is "sent", and what was entered has arrived.
func TestBindIdentity_TheAccountToldWithSentIsBoundByTheEntry(t *testing.T) {
	w := newWorld(t, binding)
	c := w.begin()
	w.work()
	w.arrived(w.last(c), storage.DeliverySent, account)
	w.wantBound("")
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	w.wantBound(account)
	w.arrived(w.last(c), storage.DeliveryDelivered, otherAccount)
	w.wantBound(account)
	w.wantEvents(audit.IdentityBound, 1)
}

func TestBindIdentity_NothingIsBoundWhere(t *testing.T) {
	for name, tt := range map[string]struct {
		off bool
		run func(w *world, c storage.Challenge)
	}{
		"the operator has not turned it on": {off: true, run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryDelivered, account)
			_, _ = w.enter(c, w.passcode(c))
		}},
		"the passcode was not entered": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryRead, account)
			_, _ = w.enter(c, w.wrongPasscode(c))
		}},
		"an SMS had gone out too": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryDelivered, account)
			w.after(time.Minute)
			_, _ = w.enter(c, w.passcode(c))
		}},
		"an SMS had gone out, and the receipt came late": {run: func(w *world, c storage.Challenge) {
			w.after(time.Minute)
			_, _ = w.enter(c, w.passcode(c))
			w.arrived(w.deliveries(c)[0], storage.DeliveryDelivered, account)
		}},
		"the hash came with a failure": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryFailed, account)
			_, _ = w.enter(c, w.passcode(c))
		}},
		"the message was sent, and failed": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliverySent, account)
			w.arrived(w.last(c), storage.DeliveryFailed, "")
			_, _ = w.enter(c, w.passcode(c))
		}},
		"the hash is none": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryDelivered, "not a hash\x00")
			_, _ = w.enter(c, w.passcode(c))
		}},
		"two messages reached two accounts": {run: func(w *world, c storage.Challenge) {
			w.arrived(w.last(c), storage.DeliveryDelivered, account)
			w.clock.Advance(31 * time.Second)
			if err := w.SendAgain(w.ctx(), c.ID, testRequest); err != nil {
				w.Error(err)
			}
			w.work()
			w.arrived(w.last(c), storage.DeliveryDelivered, otherAccount)
			_, _ = w.enter(c, w.passcode(c))
		}},
		"the phone has one already": {run: func(w *world, c storage.Challenge) {
			w.whole(account)
			w.wantBound(account)
			w.tx(func(ctx context.Context) error { return w.db.ForgetIdentity(ctx, w.phone.ID) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Settings.BindIdentity = !tt.off })
			c := w.begin()
			w.work()
			tt.run(w, c)
			w.wantBound("")
			for _, d := range w.deliveries(c) {
				if tt.off && len(d.Identity) > 0 {
					t.Error("kept what nobody asked for")
				}
			}
		})
	}
}

func TestBindIdentity_AForgottenAccountIsBoundAnew(t *testing.T) {
	w := newWorld(t, binding)
	w.whole(account)
	w.tx(func(ctx context.Context) error { return w.db.ForgetIdentity(ctx, w.phone.ID) })
	w.whole(otherAccount)
	w.wantBound(otherAccount)
	if sent := w.whatsApp.sent(); sent[1].Identity != "" {
		t.Errorf("sent to account %q", sent[1].Identity)
	}
}

// 137000 says that the account behind the number is another one now: whoever has it may have the SIM card too.
func TestBindIdentity_AChangedAccountBringsNoSMSByItselfNorByTheButton(t *testing.T) {
	for name, fail := range map[string]func(w *world, c storage.Challenge){
		"refused": func(w *world, c storage.Challenge) {
			w.whatsApp.answer = refuse(ClassAlert, "137000")
			w.work()
		},
		"reported": func(w *world, c storage.Challenge) {
			w.work()
			w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassAlert, Code: "137000"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, binding)
			w.whole(account)
			c := w.begin()
			fail(w, c)
			w.after(time.Minute)
			if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
				t.Errorf("the button: %v", err)
			}
			if err := w.SendAgain(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
				t.Errorf("send again: %v", err)
			}
			w.after(3 * time.Minute)
			w.wantTrail(c, "whatsapp first failed")
			w.wantEvents(audit.IdentityChanged, 1)
			w.wantBound(account)
		})
	}
}

func TestBindIdentity_AnSMSThatWaitsIsDroppedWhenTheAccountHasChanged(t *testing.T) {
	w := newWorld(t, binding)
	w.whole(account)
	w.sms.answer = refuse(ClassRetry, "20429")
	c := w.begin()
	w.work()
	whatsApp := w.last(c)
	w.after(w.settings.TemplateTTL + lateCopyMargin) // the SMS follows, is refused, and waits for its retry
	w.sms.answer = nil
	w.report(whatsApp, storage.DeliveryFailed, Failure{Class: ClassAlert, Code: "137000"})
	w.after(3 * time.Second)
	w.wantTrail(c, "whatsapp first failed", "sms not_delivered skipped")
	if n := len(w.sms.sent()); n != 1 {
		t.Errorf("the SMS was handed over %d times, want once, before the account was known to have changed", n)
	}
}

func TestBindIdentity_AnAccountThatCannotBeOpenedIsNotAnyAccount(t *testing.T) {
	w := newWorld(t, binding)
	sealed := testKeys.Seal(secret.IdentitySeal, "another phone", []byte(account))
	w.tx(func(ctx context.Context) error {
		bound, err := w.db.BindIdentity(ctx, w.phone.ID, sealed)
		if err == nil && !bound {
			t.Error("not bound")
		}
		return err
	})
	w.begin(policy(Policy{SMSForbidden: true}))
	w.work()
	if len(w.whatsApp.sent()) != 0 {
		t.Error("sent without the account it must reach")
	}
	if len(w.alarms) == 0 {
		t.Error("nobody was called")
	}
}

func FuzzIsIdentity(f *testing.F) {
	f.Add(account)
	f.Add("")
	f.Add("a b")
	f.Fuzz(func(t *testing.T, s string) {
		if !isIdentity(s) {
			return
		}
		for _, r := range s {
			if r <= ' ' || r > '~' || r == '"' || r == '<' {
				t.Errorf("%q passed", s)
			}
		}
	})
}

// The new owner of a number deletes WhatsApp and tries again: SMS stays barred until somebody has made sure who it is.
func TestBindIdentity_TheBarOutlivesItsChallenge(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = refuse(ClassAlert, "137000")
	w.begin()
	w.work()
	w.whatsApp.answer = refuse(ClassNumber, "131026")
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first failed")
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
		t.Errorf("the button: %v", err)
	}
	c = w.begin() // the number is known to have no WhatsApp now
	w.work()
	w.wantTrail(c, "whatsapp first failed")
	if len(w.sms.sent()) != 0 {
		t.Error("an SMS went out")
	}
	w.tx(func(ctx context.Context) error { return w.db.ForgetIdentity(ctx, w.phone.ID) })
	c = w.begin()
	w.work()
	w.wantTrail(c, "sms no_whatsapp accepted")
}

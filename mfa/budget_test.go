package mfa

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
)

// spending is a world whose budgets are as the test says; money is in ten-thousandths, a message on WhatsApp costs 300,
// an SMS 900.
func spending(t *testing.T, set func(*throttle.Limits)) *world {
	limits := throttle.Defaults()
	set(&limits)
	w := newWorld(t, func(c *Config) { c.Throttle = throttle.New(limits, testKeys) })
	w.limits = limits
	return w
}

func (w *world) refusals() (reasons []string) {
	w.Helper()
	for _, e := range w.events(audit.PasscodeSendRefused) {
		reasons = append(reasons, e.Channel+" "+e.Reason)
	}
	return reasons
}

func (w *world) wantRefusals(want ...string) {
	w.Helper()
	if got := w.refusals(); !slices.Equal(got, want) {
		w.Errorf("refusals %q, want %q", got, want)
	}
}

func TestOTP24_EachBudgetInMoneyRefusesBeyondIt(t *testing.T) {
	for name, set := range map[string]func(*throttle.Limits){
		"per prefix":             func(l *throttle.Limits) { l.SpendPerPrefixDay = 700 },
		"per country":            func(l *throttle.Limits) { l.SpendPerCountryDay = 700 },
		"per source":             func(l *throttle.Limits) { l.SpendPerSourceDay = 700 },
		"the whole installation": func(l *throttle.Limits) { l.SpendPerDay = 700 },
	} {
		t.Run(name, func(t *testing.T) {
			w := spending(t, set)
			w.begin()
			last := w.begin()
			_, err := w.Start(w.ctx(), w.request())
			var throttled *ThrottledError
			if !errors.As(err, &throttled) || !throttled.RetryAt.After(testStart) {
				t.Fatalf("a third message: %v", err)
			}
			w.wantRefusals("whatsapp budget")
			// Only money for messages that nobody verified counts.
			if _, err := w.enter(last, w.passcode(last)); err != nil {
				t.Fatal(err)
			}
			w.begin()
			if _, err := w.Start(w.ctx(), w.request()); !errors.As(err, &throttled) {
				t.Errorf("a verification gave back more than its own message: %v", err)
			}
		})
	}
}

func TestOTP24_APrefixHasALimitInNumbersToo(t *testing.T) {
	w := spending(t, func(l *throttle.Limits) { l.SendsPerPrefixHour = 1 })
	w.begin()
	if _, err := w.Start(w.ctx(), w.request()); err == nil {
		t.Error("a second message to the prefix")
	}
	w.wantRefusals("whatsapp throttled")
}

func TestOTP24_AVerifiedChallengeGivesBackAllItsMessages(t *testing.T) {
	w := spending(t, func(l *throttle.Limits) { l.SpendPerDay = 1200 })
	w.whatsApp.answer = refuse(ClassFallback, "131049")
	for range 3 {
		c := w.begin()
		w.work()
		w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
		if _, err := w.enter(c, w.passcode(c)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOTP24_AnSMSThatTheBudgetRefusesIsNotSentAndThePageSaysSo(t *testing.T) {
	w := spending(t, func(l *throttle.Limits) { l.SpendPerCountryDay = 899 })
	w.whatsApp.answer = refuse(ClassFallback, "131049")
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first failed")
	w.wantRefusals("sms budget")
	if got := w.reload(c); got.SMSRefused != "budget" || got.FallbackAt.IsZero() {
		t.Errorf("challenge %+v", got)
	}
	p, err := w.Progress(w.ctx(), c.ID)
	if err != nil || p.Stage != StageSMSRefused || p.OfferSMSIn != Never || p.SMSIn != Never {
		t.Errorf("progress %+v, %v", p, err)
	}
	w.after(time.Minute)
	w.wantRefusals("sms budget") // once
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrSMSRefused) || !errors.Is(err, ErrNotOffered) {
		t.Errorf("the button: %v", err)
	}
}

func TestOTP24_TheNextCarrierMustBeAffordable(t *testing.T) {
	for name, tt := range map[string]struct {
		budget storage.Money
		want   []string
	}{
		"it is":     {1100, []string{"whatsapp first failed", "sms refused accepted"}},
		"it is not": {1099, []string{"whatsapp first failed", "sms refused failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := spending(t, func(l *throttle.Limits) { l.SpendPerDay = tt.budget })
			vonage := &carrier{prefix: "VG"}
			routed, err := newRoutes([]Carrier{{"meta", WhatsApp, w.whatsApp}, {"twilio", SMS, w.sms}, {"vonage", SMS, vonage}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			w.routes, w.lanes["vonage"] = routed, make(chan struct{}, 1)
			w.whatsApp.answer, w.sms.answer = refuse(ClassFallback, "131049"), refuse(ClassConfig, "20003")
			c := w.begin()
			w.work()
			w.wantTrail(c, tt.want...)
			if _, err := w.enter(c, w.passcode(c)); err != nil {
				t.Fatal(err)
			}
			// What is given back is what was taken, whoever sent it in the end.
			again := w.begin()
			w.work()
			w.wantTrail(again, tt.want...)
		})
	}
}

func TestOTP26_TheDefenceRefusesAnSMS(t *testing.T) {
	const prefix = "+393331"
	noWhatsApp := func(w *world) {
		w.tx(func(ctx context.Context) error {
			return w.db.NoteNoWhatsApp(ctx, w.phone.Hash, testStart.Add(time.Hour))
		})
	}
	noWay := func(w *world) { w.whatsApp.answer = refuse(ClassNumber, "131026") }
	fails := func(w *world) { w.whatsApp.answer = refuse(ClassFallback, "131049") }
	for _, tt := range []struct {
		name    string
		refused []string
		prepare func(*world)
		want    []string
		asked   SMSQuestion
	}{
		{"a prefix on the edge of instant SMS starts on WhatsApp instead", []string{"instant" + prefix}, noWhatsApp,
			[]string{"whatsapp first accepted"}, SMSQuestion{"IT", prefix, true}},
		{"and gets none when WhatsApp says that it cannot", []string{"instant" + prefix}, noWay,
			[]string{"whatsapp first failed"}, SMSQuestion{"IT", prefix, true}},
		{"but one for another reason", []string{"instant" + prefix}, fails,
			[]string{"whatsapp first failed", "sms refused accepted"}, SMSQuestion{"IT", prefix, false}},
		{"a prefix without SMS", []string{"sms" + prefix}, fails,
			[]string{"whatsapp first failed"}, SMSQuestion{"IT", prefix, false}},
		{"another prefix", []string{"sms+393332", "instant+393332"}, noWhatsApp,
			[]string{"sms no_whatsapp accepted"}, SMSQuestion{"IT", prefix, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.defence.refused = tt.refused
			tt.prepare(w)
			c := w.begin()
			w.work()
			w.wantTrail(c, tt.want...)
			if got := w.defence.asked; len(got) != 1 || got[0] != tt.asked {
				t.Errorf("asked %+v", got)
			}
			refusals := w.refusals()
			if sms := len(w.sms.sent()); sms+len(refusals) != 1 || sms == 0 && refusals[0] != "sms fraud" {
				t.Errorf("%d SMS, refusals %q", sms, refusals)
			}
			w.wantNoSecrets(w.passcode(c))
		})
	}
}

func TestOTP26_TheDefenceRefusesTheButtonOnce(t *testing.T) {
	w := newWorld(t)
	w.defence.refused = []string{"sms+393331"}
	c := w.begin()
	w.after(30 * time.Second)
	for range 2 {
		if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrSMSRefused) {
			t.Errorf("got %v", err)
		}
	}
	w.wantRefusals("sms fraud")
	if p, err := w.Progress(w.ctx(), c.ID); err != nil || p.OfferSMSIn != Never || p.SMSIn != Never || p.Stage != StageOnItsWay {
		t.Errorf("progress %+v, %v", p, err)
	}
	w.after(40 * time.Second)
	w.wantRefusals("sms fraud")
	if p, err := w.Progress(w.ctx(), c.ID); err != nil || p.Stage != StageSMSRefused {
		t.Errorf("when WhatsApp is late: %+v, %v", p, err)
	}
}

func TestOTP26_WithoutWhatsAppTheDefenceRefusesTheLogin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Carriers = c.Carriers[1:] })
	w.defence.refused = []string{"sms+393331"}
	if _, err := w.Start(w.ctx(), w.request()); !errors.Is(err, ErrNoChannel) || !errors.Is(err, ErrSMSRefused) {
		t.Errorf("got %v", err)
	}
	w.wantRefusals("sms fraud")
}

// The rules for binding a number are those of today when it is sent to.
func TestOTP26_OTP37_NumberRulesHoldWhenSending(t *testing.T) {
	bind := func(w *world, number string) {
		p := Phone{e164: number, region: "GB"}
		w.phone = SealPhone(testKeys, w.person, p, testStart, testStart)
		w.tx(func(ctx context.Context) error { return w.db.PutPhone(ctx, w.phone) })
	}
	for _, tt := range []struct {
		name, number string
		change       func(*Settings)
		want         error
	}{
		{"a mobile", "+447400123456", func(*Settings) {}, nil},
		{"voice over IP", "+445612345678", func(*Settings) {}, ErrNoChannel},
		{"voice over IP that is allowed", "+445612345678", func(s *Settings) { s.AllowVoIP = true }, nil},
		{"a premium number", "+449012345678", func(s *Settings) { s.AllowVoIP = true }, ErrNoChannel},
		{"a country that is not served any more", "+447400123456", func(s *Settings) { s.Countries = []string{"IT"} }, ErrNoChannel},
		{"a country on the list", "+447400123456", func(s *Settings) { s.Countries = []string{"IT", "GB"} }, nil},
		{"a number that the plan does not know", "+44999", func(*Settings) {}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { tt.change(&c.Settings) })
			bind(w, tt.number)
			if _, err := w.Start(w.ctx(), w.request()); !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStart_APhoneWhoseKeyIsGoneIsAnOperatorsFault(t *testing.T) {
	w := newWorld(t)
	w.keys = mustKeys([]byte("quite another root secret, 32 b."))
	for range 2 {
		if _, err := w.Start(w.ctx(), w.request()); !errors.Is(err, ErrNoChannel) {
			t.Errorf("got %v", err)
		}
	}
	if len(w.alarms) != 1 || w.alarms[0].Code != "unknown_key" {
		t.Errorf("alarms %+v", w.alarms)
	}
	w.wantEvents(audit.SystemCarrierAlarm, 1)
	w.wantRefusals(" unknown_key", " unknown_key")
}

// A person who taps the button at a number without WhatsApp costs what pumping costs: the edge is the same.
func TestOTP26_TheButtonAfterNoWhatsAppIsTheInstantEdge(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Fallback = FallbackAsk })
	w.defence.refused = []string{"instant+393331"}
	w.whatsApp.answer = refuse(ClassNumber, "131026")
	c := w.begin()
	w.work()
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrSMSRefused) {
		t.Errorf("got %v", err)
	}
	w.wantRefusals("sms fraud")
}

func TestOTP26_WhatWasRefusedAtTheStartIsNotOfferedLater(t *testing.T) {
	w := newWorld(t)
	w.tx(func(ctx context.Context) error {
		return w.db.NoteNoWhatsApp(ctx, w.phone.Hash, testStart.Add(time.Hour))
	})
	w.defence.refused = []string{"instant+393331"}
	c := w.begin()
	w.after(30 * time.Second)
	w.wantTrail(c, "whatsapp first accepted")
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrSMSRefused) {
		t.Errorf("the button: %v", err)
	}
}

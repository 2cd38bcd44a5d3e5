package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// twoCarriers is a world whose SMS goes by twilio, and by vonage when twilio refuses. WhatsApp refuses everything.
func twoCarriers(t *testing.T, change ...func(*Config)) (w *world, vonage *carrier) {
	vonage = &carrier{prefix: "VG"}
	w = newWorld(t, append([]func(*Config){func(c *Config) {
		c.Carriers = append(c.Carriers, Carrier{"vonage", SMS, vonage})
	}}, change...)...)
	w.whatsApp.answer = refuse(ClassFallback, "131049")
	return w, vonage
}

func TestMayFailOver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		channel storage.Channel
		refused Refused
		want    bool
	}{
		{"class R that is known not to have gone out", SMS, Refused{Failure{ClassRetry, "429", ""}, 0, true}, true},
		{"class C too", SMS, Refused{Failure{ClassConfig, "20003", ""}, 0, true}, true},
		{"an open circuit", SMS, Refused{Failure{ClassFallback, codeCircuit, ""}, 0, true}, true},
		{"not what may have gone out", SMS, Refused{Failure{ClassRetry, "http_500", ""}, 0, false}, false},
		{"not class N: the number is the same everywhere", SMS, Refused{Failure{ClassNumber, "21211", ""}, 0, true}, false},
		{"not class S", SMS, Refused{Failure{ClassFallback, "21610", ""}, 0, true}, false},
		{"not class A", SMS, Refused{Failure{ClassAlert, "1", ""}, 0, true}, false},
		{"not WhatsApp, which has the SMS", WhatsApp, Refused{Failure{ClassConfig, "190", ""}, 0, true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mayFailOver(storage.Delivery{Channel: tt.channel}, &tt.refused); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestREL07_TheNextCarrierTakesWhatOneRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		twilio, vonage func(int) error
		want           string // the SMS in the end: carrier state, those tried before, calls of each
	}{
		"twilio takes it":                        {nil, nil, "twilio accepted [] 1 0"},
		"twilio's account is at fault":           {refuse(ClassConfig, "20003"), nil, "vonage accepted [twilio] 1 1"},
		"twilio is busy":                         {refuse(ClassRetry, "20429"), nil, "vonage accepted [twilio] 1 1"},
		"the number is no mobile":                {refuse(ClassNumber, "21614"), nil, "twilio failed [] 1 0"},
		"the person does not want it":            {refuse(ClassFallback, "21610"), nil, "twilio failed [] 1 0"},
		"twilio's answer is lost":                {func(int) error { return errors.New("reset") }, nil, "twilio unknown [] 1 0"},
		"both accounts are at fault":             {refuse(ClassConfig, "20003"), refuse(ClassConfig, "4"), "vonage failed [twilio] 1 1"},
		"both are busy: the last is asked again": {refuse(ClassRetry, "20429"), refuse(ClassRetry, "1"), "vonage failed [twilio] 1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			w, vonage := twoCarriers(t)
			w.sms.answer, vonage.answer = tt.twilio, tt.vonage
			c := w.begin()
			w.work()
			w.after(2 * time.Second)
			w.work()
			d := w.last(c)
			got := fmt.Sprintf("%s %s %v %d %d", d.Carrier, d.State, d.Tried, len(w.sms.sent()), len(vonage.sent()))
			if got != tt.want || len(w.deliveries(c)) != 2 {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, m := range slices.Concat(w.sms.sent(), vonage.sent()) {
				if m.DeliveryID != d.ID || m.Passcode.Reveal() != w.passcode(c) {
					t.Error("it is not the same message")
				}
			}
			if want := (prices{"twilio": 900, "vonage": 1100})[d.Carrier]; d.Cost != want {
				t.Errorf("reckoned at %v, want %v", d.Cost, want)
			}
			w.wantNoSecrets(w.passcode(c))
		})
	}
}

func TestREL07_EachRefusalIsToldWithItsCarrier(t *testing.T) {
	w, vonage := twoCarriers(t)
	w.sms.answer, vonage.answer = refuse(ClassConfig, "20003"), refuse(ClassRetry, "1")
	w.begin()
	w.work()
	w.after(2 * time.Second)
	var told []string
	for _, e := range w.events(audit.PasscodeSendFailed) {
		told = append(told, strings.TrimSpace(fmt.Sprint(e.Data["carrier"], " ", e.Data["failure_code"], " ", e.Reason, " ", e.Data["next_carrier"])))
	}
	want := []string{"meta 131049 refused", "twilio 20003 next_carrier vonage", "vonage 1 will_retry", "vonage 1 refused"}
	if !slices.Equal(told, want) {
		t.Errorf("\n got %q\nwant %q", told, want)
	}
	if want := (Alarm{Channel: SMS, Carrier: "twilio", Kind: "carrier_refuses", Code: "20003"}); len(w.alarms) != 1 || w.alarms[0] != want {
		t.Errorf("alarms %+v", w.alarms)
	}
}

func TestREL07_ALaterFailureIsNotFailedOver(t *testing.T) {
	w, vonage := twoCarriers(t)
	c := w.begin()
	w.work()
	w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassConfig, Code: "30034"})
	w.after(time.Minute)
	w.wantTrail(c, "whatsapp first failed", "sms refused failed")
	if len(vonage.sent()) != 0 {
		t.Error("a second SMS went out by itself")
	}
}

// A commit may succeed while its answer is lost; settle then writes the refusal down once more.
func TestOTP06_ARefusalThatIsWrittenTwiceSendsOnce(t *testing.T) {
	w, vonage := twoCarriers(t)
	c := w.begin()
	w.claimOnly() // WhatsApp fails, an SMS by twilio is queued
	claim := func() (jobs []job) {
		w.tx(func(ctx context.Context) error {
			ds, err := w.db.ClaimQueued(ctx, w.clock.Now(), w.clock.Now().Add(sendLease), 10)
			for _, d := range ds {
				j, _, failed := w.prepare(ctx, d)
				jobs, err = append(jobs, j), errors.Join(err, failed)
			}
			return err
		})
		return jobs
	}
	toTwilio := claim()
	if len(toTwilio) != 1 {
		t.Fatalf("%d SMS were queued", len(toTwilio))
	}
	no := refuse(ClassConfig, "20003")(1)
	w.settle(w.ctx(), toTwilio[0], Sent{}, no)
	if toVonage := claim(); len(toVonage) != 1 || toVonage[0].delivery.Carrier != "vonage" {
		t.Fatalf("claimed for the next carrier: %+v", toVonage)
	}
	w.settle(w.ctx(), toTwilio[0], Sent{}, no)
	if again := claim(); len(again) != 0 {
		t.Error("the SMS is queued a second time while the next carrier has it")
	}
	w.work()
	if d := w.last(c); d.Carrier != "vonage" || d.State != storage.DeliverySending || len(vonage.sent()) != 0 {
		t.Errorf("delivery %+v", d)
	}
}

func TestREL07_AnOpenCircuitLeavesItsCarrierOut(t *testing.T) {
	w, vonage := twoCarriers(t)
	open := func(name string) {
		w.circuits.open(name, reasonFailures, w.clock.Now())
		w.work()
	}
	open(CarrierCircuit("twilio"))
	c := w.begin()
	w.work()
	if d := w.last(c); d.Carrier != "vonage" || d.Tried != nil || len(w.sms.sent()) != 0 {
		t.Errorf("delivery %+v", d)
	}

	c = w.begin(func(st *Start) { st.AuthRequestID = "b" })
	w.claimOnly() // WhatsApp fails, an SMS by vonage is queued
	open(CarrierCircuit("vonage"))
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms refused failed")
	if d := w.last(c); d.FailureCode != codeCircuit || !slices.Equal(d.Tried, nil) || len(vonage.sent()) != 1 {
		t.Errorf("delivery %+v", d)
	}
}

func TestREL07_ACircuitThatOpensMeanwhileSendsByTheNextCarrier(t *testing.T) {
	w, vonage := twoCarriers(t)
	c := w.begin()
	w.claimOnly() // WhatsApp fails, an SMS by twilio is queued
	w.circuits.open(CarrierCircuit("twilio"), reasonFailures, w.clock.Now())
	w.work()
	d := w.last(c)
	if d.Carrier != "vonage" || d.State != storage.DeliveryAccepted || !slices.Equal(d.Tried, []string{"twilio"}) ||
		len(w.sms.sent()) != 0 || len(vonage.sent()) != 1 {
		t.Errorf("delivery %+v", d)
	}
}

func TestRoutes_ACountryMayHaveItsOwn(t *testing.T) {
	for name, tt := range map[string]struct {
		routes map[string][]string
		want   []string
	}{
		"without a route, all in order":     {nil, []string{"whatsapp first failed", "sms refused accepted by twilio"}},
		"another country's changes nothing": {map[string][]string{"BR": {"vonage"}}, []string{"whatsapp first failed", "sms refused accepted by twilio"}},
		"its own order":                     {map[string][]string{"IT": {"vonage", "twilio"}}, []string{"whatsapp first failed", "sms refused accepted by vonage"}},
		"none: no SMS there":                {map[string][]string{"IT": {}}, []string{"whatsapp first failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := twoCarriers(t, func(c *Config) { c.Routes = tt.routes })
			c := w.begin()
			w.work()
			var got []string
			for _, d := range w.deliveries(c) {
				s := fmt.Sprintf("%s %s %s", d.Channel, d.Trigger, d.State)
				if d.Channel == SMS {
					s += " by " + d.Carrier
				}
				got = append(got, s)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

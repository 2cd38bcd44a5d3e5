package mfa

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

// showsWhatTimeAloneChanges goes on to the end of a challenge with nothing happening: a page that looks again after
// ChangesIn, and not before, shows the truth all the time.
func showsWhatTimeAloneChanges(t *testing.T, c storage.Challenge, ds []storage.Delivery, now time.Time) {
	t.Helper()
	looks := func(now time.Time) (Progress, time.Time) {
		p := progressOf(c, ds, 30*time.Second, now)
		next := now.Add(p.ChangesIn)
		if p.Ended {
			next = c.ExpiresAt.Add(time.Hour)
		}
		for _, in := range []*time.Duration{&p.SMSIn, &p.OfferSMSIn, &p.ResendIn} {
			*in = min(*in, 1) // browsers count down by themselves
		}
		p.ExpiresIn, p.ChangesIn = 0, 0
		return p, next
	}
	shown, next := looks(now)
	for ; now.Before(c.ExpiresAt.Add(2 * time.Second)); now = now.Add(250 * time.Millisecond) {
		p, after := looks(now)
		if !now.Before(next) {
			shown, next = p, after
		}
		if p != shown {
			t.Fatalf("at %v\n  it is %+v\n  shown %+v", now.Sub(c.CreatedAt), p, shown)
		}
	}
}

func TestProgress(t *testing.T) {
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	sms := func(state storage.DeliveryState, change ...func(*storage.Delivery)) storage.Delivery {
		return message(state, append([]func(*storage.Delivery){bySMS, createdAt(at(37))}, change...)...)
	}
	lost := message(storage.DeliveryAccepted)
	smsRefused := func(c *storage.Challenge) { c.FallbackAt, c.SMSRefused = at(36), "budget" }
	tests := []struct {
		name   string
		change func(*storage.Challenge)
		ds     []storage.Delivery
		now    float64
		want   Progress
	}{
		{"just started", nil, []storage.Delivery{message(storage.DeliveryQueued)}, 0,
			Progress{Stage: StageSending, WhatsApp: true, SMSIn: s(35), OfferSMSIn: s(20), ResendIn: s(30), ExpiresIn: s(300), TriesLeft: 5}},
		{"taken by WhatsApp", nil, []storage.Delivery{lost}, 10,
			Progress{Stage: StageOnItsWay, WhatsApp: true, SMSIn: s(27), OfferSMSIn: s(10), ResendIn: s(20), ExpiresIn: s(290), TriesLeft: 5}},
		{"taken by WhatsApp and SMS denied", func(c *storage.Challenge) { c.Policy.Fallback = FallbackDeny }, []storage.Delivery{lost}, 10,
			Progress{Stage: StageOnItsWay, WhatsApp: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(20), ExpiresIn: s(290), TriesLeft: 5}},
		{"delivered", nil, []storage.Delivery{message(storage.DeliveryDelivered)}, 34,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: s(30), ExpiresIn: s(266), TriesLeft: 5}},
		{"WhatsApp failed, the SMS follows", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassNumber, "131026"))}, 2,
			Progress{Stage: StageSMSSoon, WhatsApp: true, WhatsAppRefused: true, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"WhatsApp took it and failed, the SMS follows", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassNumber, "131026"), func(d *storage.Delivery) { d.AcceptedAt = at(1) })}, 2,
			Progress{Stage: StageSMSSoon, WhatsApp: true, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"SMS being sent", nil, []storage.Delivery{lost, sms(storage.DeliverySending)}, 38,
			Progress{Stage: StageSMSSending, WhatsApp: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(29), ExpiresIn: s(262), TriesLeft: 5}},
		{"SMS taken", nil, []storage.Delivery{lost, sms(storage.DeliverySent)}, 38,
			Progress{Stage: StageSMSSent, WhatsApp: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(29), ExpiresIn: s(262), TriesLeft: 5}},
		{"SMS delivered", nil, []storage.Delivery{lost, sms(storage.DeliveryDelivered)}, 38,
			Progress{Stage: StageSMSDelivered, WhatsApp: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(29), ExpiresIn: s(262), TriesLeft: 5}},
		{"SMS answer lost: again at once", nil, []storage.Delivery{lost, sms(storage.DeliveryUnknown)}, 38,
			Progress{Stage: StageUnknown, WhatsApp: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(262), TriesLeft: 5}},
		{"both failed", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassConfig, "190")), sms(storage.DeliveryFailed, withFailure(ClassConfig, "20003"))}, 38,
			Progress{Stage: StageNotArriving, WhatsApp: true, WhatsAppRefused: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(262), TriesLeft: 5, CarriersDown: true}},
		{"the SMS failed but WhatsApp had arrived", nil, []storage.Delivery{message(storage.DeliveryDelivered), sms(storage.DeliveryFailed)}, 70,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(230), TriesLeft: 5}},
		{"SMS first", nil, []storage.Delivery{message(storage.DeliveryAccepted, bySMS)}, 2,
			Progress{Stage: StageSMSSent, SMS: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"not delivered and SMS denied", func(c *storage.Challenge) { c.Policy.Fallback = FallbackDeny }, []storage.Delivery{lost}, 37,
			Progress{Stage: StageNotArriving, WhatsApp: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(263), TriesLeft: 5}},
		{"failed and the person is asked", func(c *storage.Challenge) { c.Policy.Fallback = FallbackAsk }, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassFallback, "1"))}, 2,
			Progress{Stage: StageNotArriving, WhatsApp: true, WhatsAppRefused: true, SMSIn: Never, OfferSMSIn: 0, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"a security signal", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassAlert, "137000"))}, 2,
			Progress{Stage: StageBarred, WhatsApp: true, WhatsAppRefused: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: Never, ExpiresIn: s(298), TriesLeft: 5}},
		{"a security signal after a copy had arrived", nil, []storage.Delivery{message(storage.DeliveryDelivered), message(storage.DeliveryFailed, withFailure(ClassAlert, "137000"))}, 40,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: Never, ExpiresIn: s(260), TriesLeft: 5}},
		{"not delivered and our limits refused the SMS", smsRefused, []storage.Delivery{lost}, 37,
			Progress{Stage: StageSMSRefused, WhatsApp: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(263), TriesLeft: 5}},
		{"our limits refused the SMS, and it arrives late", smsRefused, []storage.Delivery{message(storage.DeliveryDelivered)}, 70,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(230), TriesLeft: 5}},
		{"our limits refused the SMS, sent again on WhatsApp", smsRefused, []storage.Delivery{message(storage.DeliveryFailed), message(storage.DeliveryQueued, createdAt(at(38)))}, 40,
			Progress{Stage: StageSending, WhatsApp: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(28), ExpiresIn: s(260), TriesLeft: 5}},
		{"WhatsApp is skipped", nil, []storage.Delivery{message(storage.DeliveryQueued, bySMS, func(d *storage.Delivery) { d.Trigger = triggerNoWhatsApp })}, 2,
			Progress{Stage: StageSMSSending, SMS: true, WhatsAppSkipped: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"two wrong ones", func(c *storage.Challenge) { c.Tries = 2 }, []storage.Delivery{lost}, 10,
			Progress{Stage: StageOnItsWay, WhatsApp: true, SMSIn: s(27), OfferSMSIn: s(10), ResendIn: s(20), ExpiresIn: s(290), TriesLeft: 3}},
		{"time is up", nil, []storage.Delivery{message(storage.DeliveryDelivered)}, 300,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: Never, TriesLeft: 5, Ended: true, End: storage.ChallengeExpired}},
		{"verified elsewhere", func(c *storage.Challenge) { c.EndedAt, c.End = at(9), storage.ChallengeVerified }, []storage.Delivery{message(storage.DeliveryDelivered)}, 10,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: Never, ExpiresIn: s(290), TriesLeft: 5, Ended: true, End: storage.ChallengeVerified}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := openChallenge()
			if tt.change != nil {
				tt.change(&c)
			}
			got := progressOf(c, tt.ds, 30*time.Second, at(tt.now))
			got.ChangesIn = 0
			if got != tt.want {
				t.Errorf("\n got %+v\nwant %+v", got, tt.want)
			}
			showsWhatTimeAloneChanges(t, c, tt.ds, at(tt.now))
		})
	}
}

func TestProgress_TellsWhenTheCarriersAreToBlame(t *testing.T) {
	whatsApp := func(class Class, code string) storage.Delivery {
		return message(storage.DeliveryFailed, withFailure(class, code))
	}
	sms := func(state storage.DeliveryState, change ...func(*storage.Delivery)) storage.Delivery {
		return message(state, append([]func(*storage.Delivery){bySMS, createdAt(at(37))}, change...)...)
	}
	triggered := func(trigger string) func(*storage.Delivery) {
		return func(d *storage.Delivery) { d.Trigger = trigger }
	}
	down, again := whatsApp(ClassRetry, "http_500"), createdAt(at(40))
	tests := []struct {
		name   string
		policy func(*storage.ChallengePolicy)
		ds     []storage.Delivery
		want   bool
	}{
		{"both refused by a fault of theirs", nil, []storage.Delivery{down, sms(storage.DeliveryFailed, withFailure(ClassConfig, "20003"))}, true},
		{"WhatsApp refused, the answer to the SMS lost", nil, []storage.Delivery{down, sms(storage.DeliveryUnknown)}, true},
		{"both answers lost", nil, []storage.Delivery{message(storage.DeliveryUnknown), sms(storage.DeliveryUnknown)}, true},
		{"both circuits open", nil, []storage.Delivery{whatsApp(ClassFallback, codeCircuit), sms(storage.DeliveryFailed, withFailure(ClassFallback, codeCircuit))}, true},
		{"WhatsApp not tried, the answer to the SMS lost", nil, []storage.Delivery{sms(storage.DeliveryUnknown, triggered(triggerCircuit))}, true},
		{"asked again, and again in vain", nil, []storage.Delivery{down, sms(storage.DeliveryFailed, withFailure(ClassRetry, "30001")), message(storage.DeliveryFailed, withFailure(ClassRetry, "http_500"), again)}, true},
		{"asked again on WhatsApp, on its way", nil, []storage.Delivery{down, sms(storage.DeliveryUnknown), message(storage.DeliveryAccepted, again)}, false},
		{"the phone did not take the SMS", nil, []storage.Delivery{down, sms(storage.DeliveryFailed, withFailure(ClassFallback, "30003"))}, false},
		{"WhatsApp did not reach the phone", nil, []storage.Delivery{message(storage.DeliveryAccepted), sms(storage.DeliveryUnknown)}, false},
		{"a number without WhatsApp", nil, []storage.Delivery{whatsApp(ClassNumber, "131026"), sms(storage.DeliveryUnknown)}, false},
		{"SMS alone, its answer lost", nil, []storage.Delivery{sms(storage.DeliveryUnknown)}, false},
		{"the SMS follows", nil, []storage.Delivery{down}, false},
		{"the SMS is on offer", func(p *storage.ChallengePolicy) { p.Fallback = FallbackAsk }, []storage.Delivery{down}, false},
		{"no SMS is allowed", func(p *storage.ChallengePolicy) { p.Fallback = FallbackDeny }, []storage.Delivery{down}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := openChallenge()
			if tt.policy != nil {
				tt.policy(&c.Policy)
			}
			if got := progressOf(c, tt.ds, 30*time.Second, at(41)); got.CarriersDown != tt.want {
				t.Errorf("got %v, with %+v", got.CarriersDown, got)
			}
		})
	}
}

func TestProgress_TellsOfTheMessageThatWasAskedFor(t *testing.T) {
	down := withFailure(ClassRetry, "http_500")
	first, sms := message(storage.DeliveryFailed, down), message(storage.DeliveryFailed, down, bySMS, createdAt(at(5)))
	for state, want := range map[storage.DeliveryState]Stage{
		storage.DeliveryQueued: StageSending, storage.DeliveryAccepted: StageOnItsWay,
		storage.DeliveryDelivered: StageDelivered, storage.DeliveryFailed: StageNotArriving,
	} {
		again := message(state, down, createdAt(at(8)))
		if got := progressOf(openChallenge(), []storage.Delivery{first, sms, again}, 30*time.Second, at(9)); got.Stage != want {
			t.Errorf("%s on WhatsApp after an SMS that failed: stage %v, want %v", state, got.Stage, want)
		}
		sms := sms
		sms.State = storage.DeliveryDelivered
		if got := progressOf(openChallenge(), []storage.Delivery{first, sms, again}, 30*time.Second, at(9)); got.Stage != StageSMSDelivered {
			t.Errorf("%s on WhatsApp after an SMS that arrived: stage %v", state, got.Stage)
		}
	}
}

func TestProgress_ReadsTheLastTwoDigits(t *testing.T) {
	w := newWorld(t)
	p, err := w.Progress(w.ctx(), w.begin().ID)
	if err != nil || p.LastTwo != "67" {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := w.Progress(w.ctx(), "none"); asEnded(err) != "ended " {
		t.Errorf("got %v", err)
	}
}

func TestChallengeThatWasNotRequested_SaysSoEverywhere(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.tx(func(ctx context.Context) error {
		_, err := w.db.EndChallenge(ctx, c.ID, storage.ChallengeNotRequested, testStart)
		return err
	})
	_, entered := w.enter(c, w.passcode(c))
	for name, err := range map[string]error{
		"entered": entered, "again": w.SendAgain(w.ctx(), c.ID, testRequest), "by SMS": w.SendBySMS(w.ctx(), c.ID, testRequest),
	} {
		if asEnded(err) != "ended not_requested" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := w.Progress(w.ctx(), c.ID); err != nil || !p.Ended || p.End != storage.ChallengeNotRequested {
		t.Errorf("progress %+v, %v", p, err)
	}
}

func TestWatch_WakesOnEveryChangeAndNotAfterStop(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	changed, stop := w.Watch(c.ID)
	woken := func() bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	if woken() {
		t.Error("woken before anything happened")
	}
	w.work()
	if !woken() {
		t.Error("not woken by the send")
	}
	w.report(w.last(c), storage.DeliveryDelivered)
	if !woken() {
		t.Error("not woken by the receipt")
	}
	stop()
	w.report(w.last(c), storage.DeliveryRead)
	if woken() {
		t.Error("woken after stop")
	}
	if len(w.watchers.chans) != 0 {
		t.Error("the watcher was not forgotten")
	}
}

package mfa

import (
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func TestProgress(t *testing.T) {
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	sms := func(state storage.DeliveryState, change ...func(*storage.Delivery)) storage.Delivery {
		return message(state, append([]func(*storage.Delivery){bySMS, createdAt(at(37))}, change...)...)
	}
	lost := message(storage.DeliveryAccepted)
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
		{"delivered", nil, []storage.Delivery{message(storage.DeliveryDelivered)}, 34,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMSIn: s(30), ExpiresIn: s(266), TriesLeft: 5}},
		{"WhatsApp failed, the SMS follows", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassNumber, "131026"))}, 2,
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
			Progress{Stage: StageNotArriving, WhatsApp: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(262), TriesLeft: 5}},
		{"the SMS failed but WhatsApp had arrived", nil, []storage.Delivery{message(storage.DeliveryDelivered), sms(storage.DeliveryFailed)}, 70,
			Progress{Stage: StageDelivered, WhatsApp: true, WhatsAppDelivered: true, SMS: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(230), TriesLeft: 5}},
		{"SMS first", nil, []storage.Delivery{message(storage.DeliveryAccepted, bySMS)}, 2,
			Progress{Stage: StageSMSSent, SMS: true, SMSIn: Never, OfferSMSIn: Never, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
		{"not delivered and SMS denied", func(c *storage.Challenge) { c.Policy.Fallback = FallbackDeny }, []storage.Delivery{lost}, 37,
			Progress{Stage: StageNotArriving, WhatsApp: true, SMSIn: Never, OfferSMSIn: Never, ExpiresIn: s(263), TriesLeft: 5}},
		{"failed and the person is asked", func(c *storage.Challenge) { c.Policy.Fallback = FallbackAsk }, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassFallback, "1"))}, 2,
			Progress{Stage: StageNotArriving, WhatsApp: true, SMSIn: Never, OfferSMSIn: 0, ResendIn: s(28), ExpiresIn: s(298), TriesLeft: 5}},
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
			if got := progressOf(c, tt.ds, 30*time.Second, at(tt.now)); got != tt.want {
				t.Errorf("\n got %+v\nwant %+v", got, tt.want)
			}
		})
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

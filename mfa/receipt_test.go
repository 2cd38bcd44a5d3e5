package mfa

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestWH05_AReceiptCountsOnce(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	d := w.last(c)
	for range 3 {
		w.report(d, storage.DeliveryDelivered)
	}
	w.clock.Advance(3 * 24 * time.Hour) // re-delivery days later
	w.report(d, storage.DeliveryDelivered)
	w.wantTrail(c, "whatsapp first delivered")
	w.wantEvents(audit.PasscodeReceipt, 1)
	if got := w.last(c).DeliveredAt; !got.Equal(testStart) {
		t.Errorf("delivered at %v", got)
	}
	w.wantNoSecrets(w.passcode(c))
}

func TestWH06_UnknownIDsAreDroppedQuietly(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	d := w.last(c)
	before := len(w.events())
	err := w.Receive(w.ctx(), []Report{
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: storage.NewID(), Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", MessageID: "wamid.unknown", Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: "not an id\x00", MessageID: "\xff", Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: d.ID, Status: "played"},
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: d.ID, Status: storage.DeliverySkipped},
		{Channel: storage.SMS, Carrier: "twilio", DeliveryID: d.ID, Status: storage.DeliveryDelivered},
		{Channel: storage.SMS, Carrier: "twilio", MessageID: "wamid.1", Status: storage.DeliveryDelivered},
		{Channel: storage.SMS, Carrier: "meta", DeliveryID: d.ID, Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "twilio", DeliveryID: d.ID, Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, DeliveryID: d.ID, Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: d.ID, MessageID: "wamid.another", Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", MessageID: strings.Repeat("w", 600), Status: storage.DeliveryDelivered},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wantTrail(c, "whatsapp first accepted")
	if got := len(w.events()); got != before {
		t.Errorf("%d events more", got-before)
	}
}

func TestReceive_FindsADeliveryByItsMessageID(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	if err := w.Receive(w.ctx(), []Report{{Channel: storage.WhatsApp, Carrier: "meta", MessageID: "wamid.1", Status: storage.DeliveryRead}}); err != nil {
		t.Fatal(err)
	}
	w.wantTrail(c, "whatsapp first read")
	if d := w.last(c); d.DeliveredAt.IsZero() || strings.Contains(d.MessageHash, "wamid") {
		t.Errorf("delivery %+v", d)
	}
}

func TestReceive_MatchesUpALostAnswer(t *testing.T) {
	w := newWorld(t)
	w.whatsApp.answer = func(int) error { return errors.New("connection reset") }
	c := w.begin()
	w.work()
	w.wantTrail(c, "whatsapp first unknown")
	err := w.Receive(w.ctx(), []Report{{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: w.last(c).ID, MessageID: "wamid.late", Status: storage.DeliveryDelivered}})
	if err != nil {
		t.Fatal(err)
	}
	w.wantTrail(c, "whatsapp first delivered")
	err = w.Receive(w.ctx(), []Report{{Channel: storage.WhatsApp, Carrier: "meta", MessageID: "wamid.late", Status: storage.DeliveryRead}})
	if err != nil {
		t.Fatal(err)
	}
	w.wantTrail(c, "whatsapp first read")
	w.after(40 * time.Second) // beyond the deadline of an unknown one
	if len(w.sms.sent()) != 0 {
		t.Error("an SMS followed a message that was delivered")
	}
}

func TestReceive_AReceiptMayBeQuickerThanTheAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.whatsApp.answer = func(int) error {
		w.report(w.last(c), storage.DeliveryDelivered)
		return nil
	}
	w.work()
	w.wantTrail(c, "whatsapp first delivered")
	if d := w.last(c); d.AcceptedAt.IsZero() || d.MessageHash == "" {
		t.Errorf("what only the answer knew is missing: %+v", d)
	}
}

func TestWH07_AStatusLogsNobodyIn(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	for _, s := range []storage.DeliveryState{storage.DeliverySent, storage.DeliveryDelivered, storage.DeliveryRead} {
		w.report(w.last(c), s)
	}
	if got := w.reload(c); !got.EndedAt.IsZero() {
		t.Errorf("the challenge ended as %q", got.End)
	}
	w.wantEvents(audit.PasscodeSuccess, 0)
}

func TestWH07_AFailureAfterTheEndStartsNothing(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Fatal(err)
	}
	w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassFallback, Code: "131049"})
	w.work()
	if len(w.sms.sent()) != 0 {
		t.Error("an SMS went out")
	}
}

func TestReceive_AFailureBringsTheSMSAtOnce(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassNumber, Code: "131026"})
	w.work()
	w.wantTrail(c, "whatsapp first failed", "sms undeliverable accepted")
	got := w.events(audit.PasscodeFallback)
	if len(got) != 1 || got[0].Data["trigger"] != "undeliverable" || got[0].Channel != "sms" {
		t.Errorf("events %+v", got)
	}
	if sent := w.events(audit.PasscodeSendFailed); len(sent) != 1 || sent[0].Data["failure_class"] != "N" || sent[0].Data["failure_code"] != "131026" {
		t.Errorf("events %+v", sent)
	}
	next := w.begin()
	w.wantTrail(next, "sms no_whatsapp queued")
	w.clock.Advance(25 * time.Hour)
	w.wantTrail(w.begin(), "whatsapp first queued")
}

func TestReceive_ASecuritySignalBarsTheSMS(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassAlert, Code: "137000"})
	w.after(time.Minute)
	if !w.reload(c).IdentityBar {
		t.Error("the challenge is not barred")
	}
	if err := w.SendBySMS(w.ctx(), c.ID, testRequest); !errors.Is(err, ErrNotOffered) {
		t.Errorf("the button: %v", err)
	}
	if len(w.sms.sent()) != 0 {
		t.Error("an SMS went out")
	}
	if got := w.events(audit.IdentityChanged); len(got) != 1 || got[0].Severity != audit.High {
		t.Errorf("events %+v", got)
	}
}

func TestReceive_AFaultOfOurAccountCallsAnOperatorOnce(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		c := w.begin()
		w.work()
		w.report(w.last(c), storage.DeliveryFailed, Failure{Class: ClassConfig, Code: "131042"})
		w.work()
		w.wantTrail(c, "whatsapp first failed", "sms refused accepted")
	}
	w.wantEvents(audit.SystemCarrierAlarm, 1)
	if want := []Alarm{{Channel: storage.WhatsApp, Carrier: "meta", Kind: "carrier_refuses", Code: "131042"}}; !slices.Equal(w.alarms, want) {
		t.Errorf("alarms %+v", w.alarms)
	}
}

func TestWH08_ABatchIsBoundedAndOneBadEntryDoesNotLoseTheOthers(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	if err := w.Receive(w.ctx(), make([]Report, MaxReports+1)); err == nil {
		t.Error("a batch beyond the bound was taken")
	}
	batch := make([]Report, 0, MaxReports)
	for range MaxReports - 1 {
		batch = append(batch, Report{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: storage.NewID(), Status: storage.DeliverySent})
	}
	batch = append(batch, Report{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: w.last(c).ID, Status: storage.DeliveryDelivered})
	if err := w.Receive(w.ctx(), batch); err != nil {
		t.Fatal(err)
	}
	w.wantTrail(c, "whatsapp first delivered")
}

// failing lets one delivery's receipts fail as a broken row would.
type failing struct {
	Store
	delivery string
}

func (f failing) InsertReceipts(ctx context.Context, receipts []storage.Receipt) ([]storage.Receipt, error) {
	if slices.ContainsFunc(receipts, func(r storage.Receipt) bool { return r.DeliveryID == f.delivery }) {
		return nil, errors.New("this row is broken")
	}
	return f.Store.InsertReceipts(ctx, receipts)
}

func TestWH08_ARowThatResistsKeepsOnlyItself(t *testing.T) {
	w := newWorld(t)
	bad := w.begin()
	w.work()
	good := w.begin()
	w.work()
	w.store = failing{w.store, w.last(bad).ID}
	err := w.Receive(w.ctx(), []Report{
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: w.last(bad).ID, Status: storage.DeliveryDelivered},
		{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: w.last(good).ID, Status: storage.DeliveryDelivered},
	})
	if err == nil {
		t.Error("the carrier was not asked to send the batch again")
	}
	w.wantTrail(bad, "whatsapp first accepted")
	w.wantTrail(good, "whatsapp first delivered")
}

func TestWH04_WhenStorageIsDownTheCarrierMustSendAgain(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	w.work()
	d := w.last(c)
	w.db.Close()
	if err := w.Receive(w.ctx(), []Report{{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: d.ID, Status: storage.DeliveryDelivered}}); err == nil {
		t.Error("no error")
	}
}

// Webhooks of both carriers, the timer and the button at once: one automatic SMS at most, whatever comes first.
func TestOTP06_WhateverComesTogetherBringsOneSMS(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		w := newWorldOn(t, db)
		for range 5 {
			c := w.begin()
			w.work()
			d := w.last(c)
			w.clock.Advance(35 * time.Second)
			w.together(9, func(i int) error {
				switch i % 3 {
				case 0:
					_, err := w.lookAtDue(w.ctx())
					return err
				case 1:
					return w.Receive(w.ctx(), []Report{{Channel: storage.WhatsApp, Carrier: "meta", DeliveryID: d.ID, Status: storage.DeliveryFailed, Failure: Failure{Class: ClassFallback, Code: "131049"}}})
				default:
					return w.SendBySMS(w.ctx(), c.ID, testRequest)
				}
			})
			w.work()
			sms := 0
			for _, d := range w.deliveries(c) {
				if d.Channel == storage.SMS {
					sms++
				}
			}
			if sms != 1 {
				t.Errorf("%d SMS", sms)
			}
			if _, err := w.enter(c, w.passcode(c)); err != nil {
				t.Error(err)
			}
			w.clock.Advance(time.Minute)
		}
	})
}

func TestCallbackRejected_IsCountedAndSampled(t *testing.T) {
	counted := 0
	w := newWorld(t, func(c *Config) { c.Hooks.CallbackRejected = func(storage.Channel, string) { counted++ } })
	for range 100 {
		w.CallbackRejected(w.ctx(), storage.WhatsApp, "signature_wrong")
	}
	if counted != 100 {
		t.Errorf("counted %d", counted)
	}
	if got := w.events(audit.WebhookRejected); len(got) != 1 || got[0].Reason != "signature_wrong" || got[0].SourceAddr != "192.0.2.7" {
		t.Errorf("events %+v", got)
	}
}

package mfa

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// Intent before effect: while a carrier is called, the delivery is on disk as being sent.
func TestREL03_SendingIsOnDiskBeforeTheCarrierIsCalled(t *testing.T) {
	w := newWorld(t)
	c := w.begin()
	asked := false
	w.whatsApp.answer = func(int) error {
		asked = true
		w.wantTrail(c, "whatsapp first sending")
		if d := w.last(c); d.SendingAt.IsZero() || d.LeaseUntil.IsZero() || d.Calls != 1 {
			t.Errorf("delivery %+v", d)
		}
		return nil
	}
	w.work()
	if !asked {
		t.Fatal("not sent")
	}
}

// kill leaves the database as a process leaves it that dies at the named moment, and returns the node that comes after.
func kill(t *testing.T, moment string) (*world, storage.Challenge) {
	database := storagetest.SQLite(t)
	c := clock.NewManual(testStart)
	first := newWorldOn(t, database.Open(t, storagetest.Options{}))
	first.clock = c
	first.Service.clock = c
	challenge := first.begin()
	claim := func() { // and die with the socket open
		first.tx(func(ctx context.Context) error {
			ds, err := first.db.ClaimQueued(ctx, c.Now(), c.Now().Add(sendLease), 1)
			if err == nil && len(ds) != 1 {
				err = fmt.Errorf("%d claimed", len(ds))
			}
			return err
		})
	}
	switch moment {
	case "queued":
	case "sending":
		claim()
	case "the fallback wait":
		first.work()
		c.Advance(20 * time.Second)
	case "sending the SMS":
		first.whatsApp.answer = refuse(ClassFallback, "131049")
		var calls sync.WaitGroup
		if _, err := first.claimQueued(first.ctx(), &calls); err != nil {
			t.Fatal(err)
		}
		calls.Wait()
		claim()
	}
	next := newNode(t, database.Open(t, storagetest.Options{}), c)
	next.person, next.phone = first.person, first.phone
	return next, challenge
}

func TestREL03_KilledWhileQueued_TheNextNodeSends(t *testing.T) {
	w, c := kill(t, "queued")
	w.work()
	w.wantTrail(c, "whatsapp first accepted")
	if got := w.whatsApp.sent(); len(got) != 1 || got[0].Passcode.Reveal() != w.passcode(c) {
		t.Errorf("%d messages", len(got))
	}
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Error(err)
	}
}

func TestREL03_KilledWhileSending_TheSMSFollowsAtTheDeadlineFromSending(t *testing.T) {
	w, c := kill(t, "sending")
	w.work()
	w.wantTrail(c, "whatsapp first sending") // the lease may belong to a living node
	w.after(sendLease + time.Second)
	w.wantTrail(c, "whatsapp first unknown")
	w.after(34*time.Second - sendLease - time.Second)
	w.wantTrail(c, "whatsapp first unknown")
	w.after(time.Second)
	w.wantTrail(c, "whatsapp first unknown", "sms unknown accepted")
	if len(w.whatsApp.sent()) != 0 {
		t.Error("sent a second time on WhatsApp")
	}
	if _, err := w.enter(c, w.passcode(c)); err != nil {
		t.Error(err)
	}
}

func TestREL03_KilledInTheFallbackWait_TheSMSFollowsOnTime(t *testing.T) {
	w, c := kill(t, "the fallback wait")
	w.after(14 * time.Second)
	w.wantTrail(c, "whatsapp first accepted")
	w.after(time.Second)
	w.wantTrail(c, "whatsapp first accepted", "sms not_delivered accepted")
}

func TestREL03_KilledWhileSendingTheSMS_ThePersonIsOfferedToSendAgain(t *testing.T) {
	w, c := kill(t, "sending the SMS")
	w.after(sendLease + time.Second)
	w.wantTrail(c, "whatsapp first failed", "sms refused unknown")
	if p, err := w.Progress(w.ctx(), c.ID); err != nil || p.ResendIn != 0 || p.Stage != StageUnknown {
		t.Errorf("progress %+v, %v", p, err)
	}
	w.after(4 * time.Minute)
	if len(w.sms.sent()) != 0 {
		t.Error("an SMS was sent by itself")
	}
}

func TestREL03_TwoNodesSendOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		a := newWorldOn(t, db)
		b := newNode(t, db, a.clock)
		const challenges = 5
		for i := range challenges {
			st := a.request()
			st.AuthRequestID = fmt.Sprint(i)
			if _, err := a.Start(a.ctx(), st); err != nil {
				t.Fatal(err)
			}
		}
		a.together(8, func(i int) error {
			node := []*world{a, b}[i%2]
			var calls sync.WaitGroup
			defer calls.Wait()
			_, err := node.claimQueued(node.ctx(), &calls)
			return err
		})
		seen := map[string]int{}
		for _, m := range append(a.whatsApp.sent(), b.whatsApp.sent()...) {
			seen[m.DeliveryID]++
		}
		if len(seen) != challenges {
			t.Errorf("%d of %d were sent", len(seen), challenges)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was sent %d times", id, n)
			}
		}
	})
}

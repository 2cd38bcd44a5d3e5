package mfa

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func TestHooks_HearOfEverythingOnce(t *testing.T) {
	var (
		mu    sync.Mutex
		heard []string
	)
	hear := func(words ...any) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprint(words...))
	}
	w := newWorld(t, func(c *Config) {
		c.Hooks = Hooks{
			Sent: func(ch storage.Channel, outcome string, class Class, _ time.Duration) {
				hear("sent ", ch, " ", outcome, " ", class)
			},
			Receipt:  func(ch storage.Channel, status storage.DeliveryState) { hear("receipt ", ch, " ", status) },
			Verified: func(outcome string) { hear("verified ", outcome) },
			Fallback: func(trigger string) { hear("fallback ", trigger) },
		}
	})
	w.whatsApp.answer = refuse(ClassNumber, "131026")
	c := w.begin()
	w.work()
	for range 2 {
		w.report(w.last(c), storage.DeliveryDelivered)
	}
	_, _ = w.enter(c, "no passcode")
	_, _ = w.enter(c, w.wrongPasscode(c))
	_, _ = w.enter(c, w.passcode(c))
	_, _ = w.enter(c, w.passcode(c))
	want := []string{
		"sent whatsapp refused N", "fallback undeliverable", "sent sms accepted ", "receipt sms delivered",
		"verified wrong", "verified success", "verified ended",
	}
	if !slices.Equal(heard, want) {
		t.Errorf("\n got %q\nwant %q", heard, want)
	}
}

package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func TestDiscreet_WhatACarrierQuotesIsNotRepeated(t *testing.T) {
	b, _ := openBase(t, func(c *Config) { c.WhatsApp.VerifyToken = NewSecret("a+word/of the tests") })
	for said, want := range map[string]string{
		"Get /?hub.verify_token=" + url.QueryEscape("a+word/of the tests") + ": refused": "Get /?hub.verify_token=********: refused",
		"the token a+word/of the tests is wrong":                                         "the token ******** is wrong",
		"the number +1 (202) 555-0100 is not registered":                                 "the number (a number) is not registered",
		"+39347123456712 and 106000000000001":                                            "(a number) and 106000000000001",
		"code 131026: Message undeliverable.":                                            "code 131026: Message undeliverable.",
	} {
		if got := b.discreet(said); got != want {
			t.Errorf("discreet(%q) = %q, want %q", said, got, want)
		}
	}
}

func TestPrefixOf_CutsWholeNumbersOnly(t *testing.T) {
	for subject, want := range map[string]string{
		"+393331":            "+393331",
		"+39 333":            "+39333",
		"+39 333 123 4567":   "+393331",
		"+1-202-555-0100":    "+12025",
		"+12345678901234567": "+12345678901234567", // no number: refused later
		"country:AZ":         "country:AZ",
		"AZ":                 "AZ",
		"+39x":               "+39x",
	} {
		if got := prefixOf(subject); got != want {
			t.Errorf("prefixOf(%q) = %q, want %q", subject, got, want)
		}
	}
}

// TestAtMeta_AnEventStandsBeforeEachChange stops every call half-way: Meta gets it and its answer is lost.
func TestAtMeta_AnEventStandsBeforeEachChange(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	meta := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-answer
		panic(http.ErrAbortHandler)
	}))
	defer meta.Close()
	b, _ := openBase(t, func(c *Config) { c.WhatsApp.BaseURL, c.WhatsApp.AccountID = meta.URL, "102000000000001" })

	if err := b.RegisterNumber(t.Context(), "12345", ""); err == nil || len(carrierEvents(t, b)) != 0 {
		t.Errorf("a PIN that is none: %v, events %v", err, carrierEvents(t, b))
	}
	lost := make(chan error, 1)
	go func() { lost <- b.RegisterNumber(t.Context(), "482913", "") }()
	<-asked
	if before := carrierEvents(t, b); len(before) != 1 {
		t.Errorf("events when Meta is called: %v", before)
	}
	close(answer)
	if err := <-lost; err == nil {
		t.Error("no error when the answer is lost")
	}
	outcomes := map[string]string{} // events of one millisecond have no order
	for _, e := range carrierEvents(t, b) {
		outcomes[e.Outcome] = e.Data["code"]
		if e.Reason != "register_number" || e.Severity != audit.High || strings.Contains(fmt.Sprint(e), "482913") {
			t.Errorf("event %+v", e)
		}
	}
	if code, failed := outcomes[audit.Failure]; len(outcomes) != 2 || !failed || code != "no_answer" {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestAtMeta_NothingIsChangedWithoutItsEvent(t *testing.T) {
	var called atomic.Bool
	meta := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer meta.Close()
	b, _ := openBase(t, func(c *Config) { c.WhatsApp.BaseURL, c.WhatsApp.AccountID = meta.URL, "102000000000001" })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.SetNumberPIN(context.Background(), "482913"); err == nil || called.Load() {
		t.Errorf("%v, called %v", err, called.Load())
	}
}

func carrierEvents(t *testing.T, b *Base) []storage.Event {
	t.Helper()
	events, err := b.store.ListEvents(context.Background(), storage.EventFilter{Kind: audit.AdminCarrier, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

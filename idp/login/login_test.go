package login

import (
	"net/http"
	"slices"
	"testing"

	"github.com/parola-id/parola/internal/acr"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func TestLoginByPasswordAndPasscode(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	id := b.request("bank", func(a *storage.AuthRequest) { a.Request.LoginHint = "anna" })
	b.open(id)
	b.wantPage(http.StatusOK, pathPassword)
	b.wantText("Bank")
	b.wantText(`value="anna"`)
	b.typePassword("Anna ", annasPassword) // as phones type it
	b.wantPage(http.StatusOK, pathPasscode)
	b.wantText("67")
	message := b.arrived(annasPhone, 0)
	if message.Channel != "whatsapp" {
		t.Errorf("the passcode went by %s", message.Channel)
	}
	b.typePasscode(" " + message.Passcode[:3] + " " + message.Passcode[3:] + " ")
	b.wantPage(http.StatusOK, resumePath)
	if b.page.query.Get("r") != id {
		t.Errorf("resumed %q, want %q", b.page.query.Get("r"), id)
	}

	a, current := s.saved(id), b.current()
	p := a.Progress
	if p.PersonID != "anna" || p.ReadyAt.IsZero() || p.SecondFactorAt.IsZero() || p.SessionID != current.ID || p.Refusal != "" {
		t.Errorf("saved progress %+v", p)
	}
	if current.PersonID != "anna" || current.ACR != acr.PhoneNoSMS || current.Channel != "whatsapp" || slices.Contains(current.AMR, "sms") {
		t.Errorf("session %+v", current)
	}
	chain, err := s.store.ListEvents(t.Context(), storage.EventFilter{AuthRequestID: id})
	must(t, err)
	for _, e := range chain {
		if e.CorrelationID != "login-correlation" {
			t.Errorf("event %s has the correlation id %q", e.Kind, e.CorrelationID)
		}
	}
	for _, kind := range []string{audit.PasswordSuccess, audit.PasscodeQueued, audit.PasscodeSuccess, audit.SessionCreated} {
		if e := s.events(kind); len(e) != 1 || e[0].AuthRequestID != id || e[0].PersonID != "anna" {
			t.Errorf("events %s: %+v", kind, e)
		}
	}
}

func TestLoginWithALiveSessionGoesStraightThrough(t *testing.T) {
	s := newSite(t)
	b := s.newBrowser()
	b.signIn("bank")
	sid := b.current().ID
	id := b.request("bank")
	b.open(id)
	b.wantPage(http.StatusOK, resumePath)
	if p := s.saved(id).Progress; p.ReadyAt.IsZero() || p.SessionID != sid || p.PersonID != "anna" {
		t.Errorf("saved progress %+v", p)
	}
	if n := len(s.handset.Inbox(annasPhone)); n != 1 {
		t.Errorf("%d messages, want only that of the first login", n)
	}
}

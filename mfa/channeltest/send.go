package channeltest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/mfa"
)

func testArrives(t *testing.T, b *bench) {
	m := Message(t)
	sent, err := b.Channel.Send(t.Context(), m)
	if err != nil || (sent.MessageID == "") != b.NoID {
		t.Fatalf("got %+v, %v", sent, err)
	}
	waitFor(t, func() bool { return len(b.inbox(t)) > 0 })
	got := b.inbox(t)[0]
	if len(b.inbox(t)) != 1 || got.Channel != b.Kind || got.To != Number || got.Passcode != passcode || got.Carrier != b.Carrier ||
		!b.NoID && got.ID != sent.MessageID {
		t.Errorf("the phone shows %+v, sent %+v", got, sent)
	}
	b.wantCalls(t, 1)
}

func testReceipts(t *testing.T, b *bench) {
	m := Message(t)
	sent, err := b.Channel.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return slices.Contains(b.statuses(m.DeliveryID), "delivered") })
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.reports {
		if r.DeliveryID != m.DeliveryID || r.MessageID != sent.MessageID || string(r.Channel) != b.Kind || r.Carrier != b.Carrier {
			t.Errorf("report %+v of message %s", r, sent.MessageID)
		}
	}
	if len(b.rejected) != 0 {
		t.Errorf("rejected: %q", b.rejected)
	}
}

func testDisorder(t *testing.T, b *bench) {
	b.switches(t, map[string]any{"webhooks_twice": true, "webhooks_out_of_order": true})
	m := Message(t)
	if _, err := b.Channel.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(b.statuses(m.DeliveryID)) >= 4 })
	for _, status := range []string{"sent", "delivered"} {
		n := 0
		for _, got := range b.statuses(m.DeliveryID) {
			if got == status {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s came %d times: %q", status, n, b.statuses(m.DeliveryID))
		}
	}
}

func testRefusals(t *testing.T, b *bench) {
	for _, r := range b.Refusals {
		t.Run(r.Name, func(t *testing.T) {
			b.switches(t, r.Switches)
			_, err := b.Channel.Send(t.Context(), Message(t))
			var refused *mfa.Refused
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if got, want := ofMessage(*refused), ofMessage(r.Want); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if (b.status == http.StatusOK) != r.OK {
				t.Errorf("the carrier answered %d", b.status)
			}
		})
	}
	b.wantCalls(t, len(b.Refusals))
}

// ofMessage fills in the scope that an empty one means.
func ofMessage(r mfa.Refused) mfa.Refused {
	if r.Scope == "" {
		r.Scope = mfa.ScopeMessage
	}
	return r
}

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	var refused *mfa.Refused
	if err == nil || errors.As(err, &refused) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

func testTimeout(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "timeout"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := b.Channel.Send(ctx, Message(t))
	wantUnknown(t, err)
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	b.wantCalls(t, 1)
}

func testLostAnswer(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "lost_answer"})
	m := Message(t)
	_, err := b.Channel.Send(t.Context(), m)
	wantUnknown(t, err)
	waitFor(t, func() bool { return slices.Contains(b.statuses(m.DeliveryID), "delivered") })
	b.wantCalls(t, 1)
}

func testPage(t *testing.T, b *bench) {
	b.switches(t, map[string]any{b.CarrierSwitch: "500"})
	_, err := b.Channel.Send(t.Context(), Message(t))
	var refused *mfa.Refused
	if err == nil || errors.As(err, &refused) && (refused.NotSent || refused.Scope != mfa.ScopeCarrier) {
		t.Errorf("got %v (%+v)", err, refused)
	}
	b.wantCalls(t, 1)
	for name, body := range map[string]string{"an empty answer": "", "JSON of something else": `{"hello":[]}`, "an array": `[]`} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			defer server.Close()
			_, err := b.New(t, b.env(server.URL)).Channel.Send(t.Context(), Message(t))
			wantUnknown(t, err)
		})
	}
}

func testNoConnection(t *testing.T, b *bench) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := b.New(t, b.env(server.URL)).Channel.Send(t.Context(), Message(t))
	var refused *mfa.Refused
	if !errors.As(err, &refused) || !refused.NotSent || refused.Scope != mfa.ScopeCarrier || refused.Class != mfa.ClassRetry {
		t.Errorf("got %v (%+v)", err, refused)
	}
}

func testRedirect(t *testing.T, b *bench) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	carrier := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer carrier.Close()
	if _, err := b.New(t, b.env(carrier.URL)).Channel.Send(t.Context(), Message(t)); err == nil {
		t.Error("taken for a yes")
	}
	if reached {
		t.Error("the passcode went elsewhere")
	}
}

func testEndlessAnswer(t *testing.T, b *bench) {
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 32<<10)); err != nil {
				return
			}
		}
	}))
	defer carrier.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := b.New(t, b.env(carrier.URL)).Channel.Send(ctx, Message(t))
	wantUnknown(t, err)
	if ctx.Err() != nil {
		t.Error("it was read until the deadline")
	}
}

func testErrors(t *testing.T, b *bench) {
	for _, position := range []string{"lost_answer", "timeout", "500"} {
		b.switches(t, map[string]any{b.CarrierSwitch: position})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := b.Channel.Send(ctx, Message(t))
		cancel()
		if err == nil || strings.Contains(err.Error(), Number[1:]) || strings.Contains(err.Error(), passcode) || strings.Contains(err.Error(), "http://") {
			t.Errorf("%s: %v", position, err)
		}
	}
}

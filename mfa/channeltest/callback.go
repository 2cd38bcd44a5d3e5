package channeltest

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// post sends a callback and returns the status of the answer.
func post(t *testing.T, req *http.Request) int {
	t.Helper()
	started := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if took := time.Since(started); took > time.Second {
		t.Errorf("the carrier waited %v (WH-04)", took)
	}
	return resp.StatusCode
}

func testWrongSignature(t *testing.T, b *bench) {
	for name, make := range map[string]func(t *testing.T) *http.Request{
		"of another secret": func(t *testing.T) *http.Request { return b.Callback(t, b.callbackURL, Foreign, newDeliveryID(), 0) },
		"missing": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			req.Header.Del(b.SignatureHeader)
			return req
		},
		"empty": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			req.Header.Set(b.SignatureHeader, "")
			return req
		},
		"cut short": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			signature := req.Header.Get(b.SignatureHeader)
			req.Header.Set(b.SignatureHeader, signature[:len(signature)-4])
			return req
		},
		"of another body": func(t *testing.T) *http.Request {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			other := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 1)
			req.Body, req.ContentLength, req.GetBody = other.Body, other.ContentLength, other.GetBody
			return req
		},
	} {
		t.Run(name, func(t *testing.T) {
			if status := post(t, make(t)); status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Errorf("answered %d", status)
			}
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) != 0 {
		t.Errorf("%d reports were taken", len(b.reports))
	}
	if len(b.rejected) != 5 {
		t.Errorf("%d were counted: %q", len(b.rejected), b.rejected)
	}
}

func testRotation(t *testing.T, b *bench) {
	for _, s := range []Secret{Current, Previous} {
		id := newDeliveryID()
		if status := post(t, b.Callback(t, b.callbackURL, s, id, 0)); status < 200 || status > 299 {
			t.Errorf("secret %d: answered %d", s, status)
		}
		if got := b.statuses(id); len(got) != 1 || got[0] != "delivered" {
			t.Errorf("secret %d: %q", s, got)
		}
	}
}

func testStorageDown(t *testing.T, b *bench) {
	b.mu.Lock()
	b.storage = errors.New("the database is away: " + Number)
	b.mu.Unlock()
	req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || len(body) != 0 {
		t.Errorf("answered %d %q", resp.StatusCode, body)
	}
}

func testTooLarge(t *testing.T, b *bench) {
	if status := post(t, b.Callback(t, b.callbackURL, Current, newDeliveryID(), b.TooLarge)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d", status)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) != 0 {
		t.Error("it was taken")
	}
}

func testMethods(t *testing.T, b *bench) {
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
		req, err := http.NewRequest(method, b.callbackURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status := post(t, req); status != http.StatusMethodNotAllowed {
			t.Errorf("%s: answered %d", method, status)
		}
	}
}

package channeltest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/mfa"
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

func testWrongProof(t *testing.T, b *bench) {
	cases := map[string]func(proof string) string{
		"missing":            func(string) string { return "" },
		"cut short":          func(proof string) string { return proof[:len(proof)-4] },
		"with more after it": func(proof string) string { return proof + "00" },
		"of another delivery": func(string) (others string) {
			other := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			b.Proof(t, other, func(proof string) string { others = proof; return proof })
			return others
		},
	}
	if b.OneProof {
		delete(cases, "of another delivery")
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			req := b.Callback(t, b.callbackURL, Current, newDeliveryID(), 0)
			b.Proof(t, req, change)
			wantForbidden(t, post(t, req))
		})
	}
	t.Run("of another secret", func(t *testing.T) {
		wantForbidden(t, post(t, b.Callback(t, b.callbackURL, Foreign, newDeliveryID(), 0)))
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) != 0 {
		t.Errorf("%d reports were taken", len(b.reports))
	}
	if len(b.rejected) != len(cases)+1 {
		t.Errorf("%d were counted: %q", len(b.rejected), b.rejected)
	}
}

func wantForbidden(t *testing.T, status int) {
	t.Helper()
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("answered %d", status)
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
	b.storage = errors.New("the database is away")
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

// testLog gives the channel callbacks of every fate and reads what it logged.
func testLog(t *testing.T, b *bench) {
	const padding = 200
	away := func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.storage = err
	}
	for name, make := range map[string]func() *http.Request{
		"taken":       func() *http.Request { return b.Callback(t, b.callbackURL, Current, newDeliveryID(), padding) },
		"of a forger": func() *http.Request { return b.Callback(t, b.callbackURL, Foreign, newDeliveryID(), padding) },
		"not stored": func() *http.Request {
			away(errors.New("the database is away"))
			return b.Callback(t, b.callbackURL, Current, newDeliveryID(), padding)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer away(nil)
			req := make()
			said := req.URL.RawQuery
			if req.GetBody != nil {
				body, err := req.GetBody()
				if err != nil {
					t.Fatal(err)
				}
				start := [120]byte{}
				n, _ := io.ReadFull(body, start[:])
				said += string(start[:n])
			}
			post(t, req)
			for part := range slices.Chunk([]byte(said), 24) {
				if len(part) == 24 && bytes.Contains([]byte(b.logged()), part) {
					t.Errorf("%q was logged", part)
				}
			}
		})
	}
}

func testCheckRight(t *testing.T, b *bench) {
	for _, f := range b.check(t, true) {
		if f.Status == mfa.FindingFailed {
			t.Errorf("%s failed: %s", f.Name, f.Detail)
		}
	}
}

func testCheckWrong(t *testing.T, b *bench) {
	failed := 0
	for _, f := range b.check(t, false) {
		if f.Status == mfa.FindingFailed {
			failed++
		}
	}
	if failed == 0 {
		t.Error("nothing was found")
	}
}

func (b *bench) check(t *testing.T, right bool) []mfa.Finding {
	t.Helper()
	if b.Check == nil {
		t.Fatal("the harness has no Check")
	}
	findings := b.Check(t, b.env(b.HandsetURL), right)
	for _, f := range findings {
		if f.Name == "" || f.Status != mfa.FindingOK && f.Advice == "" || strings.Contains(f.Detail+f.Advice, Number[1:]) {
			t.Errorf("finding %+v", f)
		}
	}
	if len(findings) == 0 {
		t.Error("it looked at nothing")
	}
	if n := len(b.inbox(t)); n != 0 {
		t.Errorf("it sent %d messages", n)
	}
	return findings
}

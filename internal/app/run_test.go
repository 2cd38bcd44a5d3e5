package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// running starts a whole provider on free ports and returns it with what stops it.
func running(t *testing.T, change func(*Config)) (a *App, stop func() error) {
	t.Helper()
	c := complete()
	c.Database.Path = filepath.Join(t.TempDir(), "parola.db")
	c.Server.Listen, c.Server.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&c)
	}
	b, err := Open(t.Context(), c, Options{Release: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if a, err = New(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("the server does not stop")
			return nil
		}
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestADM09_LivenessReadinessAndMetricsAreOnTheInternalListenerAlone(t *testing.T) {
	a, stop := running(t, nil)
	internal, public := "http://"+a.internal.Addr().String(), "http://"+a.public.Addr().String()
	for _, path := range []string{"/livez", "/readyz"} {
		if code, body := fetch(t, internal+path); code != http.StatusOK || !strings.Contains(body, `"ok"`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	fetch(t, public+"/.well-known/openid-configuration")
	fetch(t, public+"/whatever/a/stranger/asks")
	_, metrics := fetch(t, internal+"/metrics")
	for _, want := range []string{`parola_build_info{version="test"} 1`, "parola_http_request_duration_seconds_count", "go_goroutines"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "stranger") {
		t.Error("a path that a stranger chose is a label")
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if code, _ := fetch(t, public+path); code != http.StatusNotFound {
			t.Errorf("public %s: %d, want 404", path, code)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	events, err := a.store.ListEvents(t.Context(), storage.EventFilter{Kind: "system."})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[0].Kind != "system.start" || events[1].Kind != "system.stop" {
		t.Errorf("events of the run: %+v, want start and stop", events)
	}
	for _, e := range events {
		if e.Sequence == 0 {
			t.Errorf("%s has no place in the chain after the stop", e.Kind)
		}
	}
}

func TestReadinessKnowsTheDatabase(t *testing.T) {
	a, _ := running(t, nil)
	a.store.Close()
	w := httptest.NewRecorder()
	a.internalHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("with the database gone: %d, want 503", w.Code)
	}
}

func TestREL12_StoppingServerIsNotReady(t *testing.T) {
	a, stop := running(t, nil)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	a.internalHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "stopping") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTakenPortIsAnErrorBeforeAnythingElse(t *testing.T) {
	a, _ := running(t, nil)
	c := complete()
	c.Server.Listen = a.public.Addr().String()
	if _, err := c.Server.listener(t.Context()); err == nil || !strings.Contains(err.Error(), "server.listen") {
		t.Errorf("taken port: %v", err)
	}
}

func TestDOS07_SweepIsBoundedAndTakesOnlyWhatHasEnded(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	manual := clock.NewManual(now)
	c := complete()
	c.Database.Path = filepath.Join(t.TempDir(), "parola.db")
	c.Retention.PerRun = 3
	b, err := Open(t.Context(), c, Options{Clock: manual})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &App{Base: b, metrics: newMetrics("test")}
	var ids []string
	if err := b.store.InTx(t.Context(), func(ctx context.Context) error {
		if err := b.store.InsertClient(ctx, storage.Client{ID: "shop", CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		for i := range 5 {
			ids = append(ids, storage.NewID())
			err := b.store.InsertAuthRequest(ctx, storage.AuthRequest{ID: ids[i], ClientID: "shop", BrowserHash: []byte{1},
				CreatedAt: now, ExpiresAt: now.Add(time.Duration(i) * time.Minute)})
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	left := func() int {
		n := 0
		for _, id := range ids {
			if _, err := b.store.AuthRequest(t.Context(), id); err == nil {
				n++
			}
		}
		return n
	}
	manual.Advance(24*time.Hour + 3*time.Minute + time.Second) // four have been over for more than a day
	for _, s := range a.sweepings(manual.Now()) {
		if s.kind != storage.SweepAuthRequests {
			continue
		}
		if n, held, err := a.sweepStep(t.Context(), s); err != nil || !held || n != 3 {
			t.Errorf("one step removed %d (lease %v, %v), want 3", n, held, err)
		}
	}
	if got := left(); got != 2 {
		t.Errorf("after one step of at most 3, %d are left, want 2", got)
	}
	if err := a.sweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != 1 {
		t.Errorf("after a whole sweep %d are left, want the one that ended less than a day ago", got)
	}
}

// TestDAT06_WhatEndedInDaysIsRemovedInOneSweep has one sweep remove what takes it several steps, and nothing while another
// node has the lease.
func TestDAT06_WhatEndedInDaysIsRemovedInOneSweep(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	manual := clock.NewManual(now)
	c := complete()
	c.Database.Path = filepath.Join(t.TempDir(), "parola.db")
	c.Retention.PerRun = 10
	b, err := Open(t.Context(), c, Options{Clock: manual})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &App{Base: b, metrics: newMetrics("test")}
	assertions := func(n int) {
		t.Helper()
		if err := b.store.InTx(t.Context(), func(ctx context.Context) error {
			for range n {
				if _, err := b.store.UseOnce(ctx, storage.NewID(), now.Add(time.Minute), now); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		t.Helper()
		if err := b.store.InTx(t.Context(), func(ctx context.Context) (err error) {
			n, err = b.store.Sweep(ctx, storage.SweepAssertions, manual.Now(), 1000)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	sweep := func(node string) {
		t.Helper()
		other := *b
		other.node = node
		if err := (&App{Base: &other, metrics: a.metrics}).sweepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	assertions(55)
	manual.Advance(time.Hour)
	sweep("one")
	if n := left(); n != 0 {
		t.Errorf("%d of 55 were left", n)
	}
	assertions(5)
	sweep("two")
	if n := left(); n != 5 {
		t.Errorf("another node swept: %d of 5 are left", n)
	}
}

func TestRenewedCertificateNeedsNoRestart(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write := func(name string, when time.Time) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := &certificates{cert: cert, key: key}
	name := func() string {
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.Subject.CommonName
	}
	if _, err := c.get(nil); err == nil {
		t.Fatal("a missing certificate was served")
	}
	write("first", time.Now().Add(-time.Hour))
	c.looked = time.Time{}
	if got := name(); got != "first" {
		t.Fatalf("serving %q", got)
	}
	write("second", time.Now())
	c.looked = time.Time{} // ten seconds later
	if got := name(); got != "second" {
		t.Errorf("after the renewal %q is served", got)
	}
	if err := os.WriteFile(cert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.looked = time.Time{}
	if got := name(); got != "second" {
		t.Errorf("with a broken file %q is served, want the one that worked", got)
	}
}

func TestREL06_WorkerThatPanicsIsStartedAgainAndTold(t *testing.T) {
	b, _ := openBase(t)
	a := &App{Base: b, metrics: newMetrics("test")}
	runs := 0
	err := a.survive(t.Context(), "sweeper", func(context.Context) error {
		if runs++; runs < 3 {
			panic("a passcode 123456 that must not be told")
		}
		return nil
	})
	if err != nil || runs != 3 {
		t.Errorf("%d runs, %v; want a third one that ends well", runs, err)
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{Kind: "system.panic"})
	if err != nil || len(events) != 2 || events[0].Reason != "sweeper" {
		t.Errorf("events %+v, %v", events, err)
	}
	w := httptest.NewRecorder()
	a.metrics.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), `parola_panics_total{worker="sweeper"} 2`) {
		t.Error("the panics are not counted")
	}
}

func TestKEY07_KeyThatEveryUserMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tls.key")
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o604: false} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := private(path); (err == nil) != want {
			t.Errorf("mode %o: %v, want accepted %v", mode, err, want)
		}
	}
}

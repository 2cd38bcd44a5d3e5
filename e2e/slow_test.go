package e2e_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// TestDOS03_WhoSendsTooSlowlyIsCutOff holds that a connection which never finishes what it began to say is closed by the
// provider, and that others are answered meanwhile.
func TestDOS03_WhoSendsTooSlowlyIsCutOff(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{})
	in.Run(nil)
	address := strings.TrimPrefix(in.Issuer, "http://")
	for name, tt := range map[string]struct {
		said   string
		within time.Duration
	}{
		"in the headers": {"GET / HTTP/1.1\r\nHost: " + address + "\r\nX-Slow: ", 5 * time.Second},
		"in the body": {"POST /token HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			"Content-Length: 1000\r\n\r\ngrant_type=", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(tt.said)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_ = conn.SetReadDeadline(began.Add(tt.within + 15*time.Second)) // a busy machine
			if resp, err := stubborn.Get(in.Issuer + "/"); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("others meanwhile: %v", err)
			} else {
				resp.Body.Close()
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("still connected %s after the last byte", time.Since(began))
			}
			if waited := time.Since(began); waited < tt.within-time.Second {
				t.Errorf("cut off after %s already", waited)
			}
		})
	}
}

package mfa

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A carrier that takes a message and dies before it answers: net/http repeats a GET by itself on a connection that it has
// used before, and a person would get a second SMS that nobody decided on.
func TestOTP06_NoCallIsRepeatedBelowUs(t *testing.T) {
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: "x=1"} {
		t.Run(method, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if calls.Add(1) == 1 {
					return
				}
				connection, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				connection.Close()
			}))
			defer server.Close()
			httpClient := CarrierClient(nil)
			call := func() error {
				req, err := http.NewRequest(method, server.URL, nil)
				if body != "" {
					req, err = http.NewRequest(method, server.URL, strings.NewReader(body))
				}
				if err != nil {
					t.Fatal(err)
				}
				_, err = Call(t.Context(), httpClient, req)
				return err
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			if err := call(); err == nil {
				t.Error("a lost answer is no error")
			}
			if n := calls.Load(); n != 2 {
				t.Errorf("two calls reached the carrier %d times", n)
			}
		})
	}
}

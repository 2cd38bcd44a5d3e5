package sms_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

// config is what all carriers under test are configured with.
func config(e channeltest.Env) sms.Config {
	return sms.Config{
		BaseURL: e.CarrierURL, CallbackURL: e.CallbackURL,
		Text: func(locale, passcode string) (string, error) {
			return passcode + " (" + locale + ")\n\n@login.example.com #" + passcode, nil
		},
		HTTPClient: e.HTTPClient, Log: e.Log, Rejected: e.Rejected,
	}
}

// channel is what the adapters have in common.
type channel interface {
	mfa.Channel
	Handler(receive func(context.Context, []mfa.Report) error) http.Handler
	Check(ctx context.Context) []mfa.Finding
}

// answer gives a callback to a channel and returns the status and the reports.
func answer(t *testing.T, c channel, req *http.Request) (int, []mfa.Report) {
	t.Helper()
	var reports []mfa.Report
	w := httptest.NewRecorder()
	c.Handler(func(_ context.Context, r []mfa.Report) error {
		reports = append(reports, r...)
		return nil
	}).ServeHTTP(w, req)
	return w.Code, reports
}

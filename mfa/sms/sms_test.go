package sms_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
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

// newHandset is a handset with an account that change gives it.
func newHandset(t *testing.T, change func(*handset.Config)) (*handset.Handset, string) {
	t.Helper()
	cfg := handset.Config{
		AccessToken: "access token", AppSecret: "app secret", AccountSID: account, AuthToken: tokens[channeltest.Current],
		DeliverAfter: 10 * time.Millisecond,
	}
	change(&cfg)
	h, err := handset.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	return h, server.URL
}

// wantReports compares what a callback was read as with one report or none; of is what all of a carrier's have.
func wantReports(t *testing.T, code int, reports []mfa.Report, want *mfa.Report, of mfa.Report) {
	t.Helper()
	var all []mfa.Report
	if want != nil {
		of.Channel, of.Status, of.Failure = mfa.SMS, want.Status, want.Failure
		all = []mfa.Report{of}
	}
	same := slices.EqualFunc(reports, all, func(a, b mfa.Report) bool {
		at := a.At.Equal(b.At)
		a.At, b.At = time.Time{}, time.Time{}
		return at && a == b
	})
	if code != http.StatusNoContent || !same {
		t.Errorf("answered %d\n got %+v\nwant %+v", code, reports, all)
	}
}

// wantAnswerRead lets a channel send to a carrier that answers so. The zero Refused stands for an outcome that is unknown.
func wantAnswerRead(t *testing.T, status int, body string, want mfa.Refused, channel func(channeltest.Env) mfa.Channel) {
	t.Helper()
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer carrier.Close()
	env := channeltest.Env{CarrierURL: carrier.URL, CallbackURL: "https://otp.example.com/callback"}
	_, err := channel(env).Send(t.Context(), channeltest.Message(t))
	var got mfa.Refused
	if refused := new(mfa.Refused); errors.As(err, &refused) {
		got = *refused
	}
	if err == nil || got != want {
		t.Errorf("got %v %+v, want %+v", err, got, want)
	}
}

package mfa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// maxAnswer bounds what is read of a carrier's answer.
const maxAnswer = 64 << 10

// Answer is what a carrier answered to one call.
type Answer struct {
	Status int
	Body   []byte
}

// Call makes one HTTP call to a carrier, for channels. It tells apart what the design must know: an error before the
// request was on the wire is a *Refused that is known not to have been sent; any later one leaves the outcome unknown.
// It never repeats a call, and the transport does so only while nothing was written (OTP-06).
func Call(ctx context.Context, httpClient *http.Client, req *http.Request) (Answer, error) {
	// net/http takes a GET for harmless and repeats it when a connection that was used before breaks: a new one each time.
	req.Close = req.Method == http.MethodGet
	var wrote atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }}
	resp, err := httpClient.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		if !wrote.Load() {
			return Answer{}, &Refused{Failure: Failure{Class: ClassRetry, Code: "no_connection", Scope: ScopeCarrier}, NotSent: true}
		}
		return Answer{}, fmt.Errorf("call carrier: %w", unwrapURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read carrier's answer: %w", unwrapURL(err))
	}
	return Answer{Status: resp.StatusCode, Body: body}, nil
}

// CarrierClient returns an HTTP client like base (nil is a default one) that follows no redirect and keeps no cookies:
// a passcode goes to the configured address or nowhere.
func CarrierClient(base *http.Client) *http.Client {
	httpClient := new(http.Client)
	if base != nil {
		*httpClient = *base
	}
	httpClient.Jar = nil
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return httpClient
}

// unwrapURL drops the URL that net/http puts into its errors: it may hold identifiers.
func unwrapURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// Package otlp sends spans to an OpenTelemetry collector: OTLP over HTTP in its JSON encoding, which every collector takes.
// It is here because the exporter of OpenTelemetry's own costs 13 MB of gRPC and protobuf (docs/decisions/0037).
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Config is what an Exporter needs.
type Config struct {
	// URL takes the spans: the collector's address with /v1/traces.
	URL string
	// Headers go with every request. They may hold a secret.
	Headers map[string]string
	// Sent hears what became of spans: how many were taken, how many were lost, and why some were.
	Sent func(taken, lost int, err error)
}

// Exporter sends spans.
type Exporter struct {
	Config
	httpClient *http.Client
}

var _ sdk.SpanExporter = (*Exporter)(nil)

const (
	// callTime bounds one request, mostTries how often one is made: what a collector does not take soon is lost, because
	// spans must not pile up in a provider.
	callTime  = 5 * time.Second
	mostTries = 3
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 64 << 10
)

// New returns an Exporter. It follows no redirect: headers with a secret go to the configured address or nowhere.
func New(c Config) *Exporter {
	if c.Sent == nil {
		c.Sent = func(int, int, error) {}
	}
	return &Exporter{Config: c, httpClient: &http.Client{Timeout: callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Shutdown implements sdk.SpanExporter.
func (e *Exporter) Shutdown(context.Context) error {
	e.httpClient.CloseIdleConnections()
	return nil
}

// ExportSpans implements sdk.SpanExporter. It waits and tries again while the collector says that it may (OTLP §Retryable
// response codes). The SDK calls it from one goroutine of its own, which nobody waits for. Errors go to Sent alone: the SDK
// would print them past our log.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := compressed(encode(spans))
	if err != nil {
		e.Sent(0, len(spans), fmt.Errorf("encode spans: %w", err))
		return nil
	}
	pause := 500 * time.Millisecond
	for try := 1; ; try++ {
		rejected, err := e.post(ctx, body)
		if err == nil {
			e.accounted(len(spans), rejected)
			return nil
		}
		var later *laterError
		if !errors.As(err, &later) || try == mostTries || !sleep(ctx, max(pause, later.after)) {
			e.Sent(0, len(spans), fmt.Errorf("send spans: %w", err))
			return nil
		}
		pause *= 2
	}
}

func (e *Exporter) accounted(sent, rejected int) {
	rejected = min(max(rejected, 0), sent)
	var err error
	if rejected > 0 {
		err = fmt.Errorf("the collector rejected %d of %d spans", rejected, sent)
	}
	e.Sent(sent-rejected, rejected, err)
}

func compressed(r request) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// laterError says that the same request may be taken later.
type laterError struct {
	cause error
	after time.Duration
}

func (e *laterError) Error() string { return e.cause.Error() }
func (e *laterError) Unwrap() error { return e.cause }

// post makes one request and says how many spans the collector took out of it.
func (e *Exporter) post(ctx context.Context, body []byte) (rejected int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range e.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := e.httpClient.Do(req)
	if err != nil {
		return 0, &laterError{cause: err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusBadGateway,
		resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		return 0, &laterError{cause: fmt.Errorf("the collector answered %d", resp.StatusCode), after: retryAfter(resp)}
	case resp.StatusCode/100 != 2:
		return 0, fmt.Errorf("the collector answered %d", resp.StatusCode)
	case err != nil:
		return 0, nil // it has them: to send them again would double them
	}
	var partial struct {
		PartialSuccess struct {
			RejectedSpans json.Number `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &partial) != nil {
		return 0, nil // an empty body, or another's idea of one
	}
	n, err := strconv.Atoi(partial.PartialSuccess.RejectedSpans.String())
	if err != nil {
		return 0, nil
	}
	return n, nil
}

// longestPause bounds what a collector may ask for.
const longestPause = 10 * time.Second

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestPause)
}

// sleep waits, and says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

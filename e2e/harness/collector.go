package harness

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Span is a span as a collector reads it off the wire: OTLP over HTTP, in JSON.
type Span struct {
	TraceID, SpanID, ParentSpanID string
	Name                          string
	Attributes                    map[string]string
	Links                         []string // of traces
	Failed                        bool
}

// Collector is an OpenTelemetry collector that keeps what it is sent.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []Span
	text  []byte
}

// Collect starts one, for PAROLA_TRACING_ENDPOINT.
func Collect(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector was asked for %s %s", r.Method, r.URL)
			return
		}
		if err := c.take(r.Body); err != nil {
			t.Errorf("the collector cannot read what it was sent: %v", err)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(body io.Reader) error {
	type attribute struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	var request struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name string
					Attributes                          []attribute
					Links                               []struct{ TraceID string }
					Status                              struct{ Code int }
				}
			}
		}
	}
	plain, err := gzip.NewReader(body)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(plain)
	if err == nil {
		err = json.Unmarshal(text, &request)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, text...)
	for _, r := range request.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, sent := range s.Spans {
				span := Span{TraceID: sent.TraceID, SpanID: sent.SpanID, ParentSpanID: sent.ParentSpanID, Name: sent.Name,
					Attributes: map[string]string{}, Failed: sent.Status.Code == 2}
				for _, a := range sent.Attributes {
					span.Attributes[a.Key] = a.Value.StringValue + a.Value.IntValue
				}
				for _, l := range sent.Links {
					span.Links = append(span.Links, l.TraceID)
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return nil
}

// Spans are those of one trace, or with an empty id all that arrived so far.
func (c *Collector) Spans(traceID string) []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Span
	for _, s := range c.spans {
		if traceID == "" || s.TraceID == traceID {
			found = append(found, s)
		}
	}
	return found
}

// Text is everything that arrived so far, as it came.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

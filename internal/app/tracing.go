package app

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/internal/tracing/otlp"
)

const (
	// mostSpans bounds the spans that wait for the collector, about 4 MB; beyond it new ones are lost and nobody waits.
	mostSpans = 4096
	// spanDelay is how long a span waits for others.
	spanDelay = 2 * time.Second
	// spanFlush bounds how long a stopping server waits for the collector.
	spanFlush = 3 * time.Second
)

// traces make the tracer of the configuration; without an endpoint there is none. Call end once the last span has ended.
func (b *Base) traces(m *metrics) (tracer *tracing.Tracer, end func(), err error) {
	t := b.config.Tracing
	if t.Endpoint == "" {
		return nil, func() {}, nil
	}
	headers, err := t.headers()
	if err != nil {
		return nil, nil, err // Check has said so
	}
	queue := &spanQueue{lost: m.spans.WithLabelValues("lost").Inc}
	exporter := otlp.New(otlp.Config{URL: strings.TrimSuffix(t.Endpoint, "/") + "/v1/traces", Headers: headers,
		Sent: func(taken, lost int, err error) {
			queue.waiting.Add(-int64(taken + lost))
			m.spans.WithLabelValues("taken").Add(float64(taken))
			m.spans.WithLabelValues("lost").Add(float64(lost))
			if err != nil {
				b.log.Warn("traces did not reach the collector", "lost", lost, "err", err)
			}
		}})
	queue.SpanProcessor = sdk.NewBatchSpanProcessor(exporter, sdk.WithMaxQueueSize(mostSpans), sdk.WithBatchTimeout(spanDelay),
		sdk.WithMaxExportBatchSize(512))
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(queue),
		sdk.WithIDGenerator(tracing.IDs{}),
		// Whoever was told of a trace first has decided whether it is recorded: a login is, or is not, as a whole.
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(t.SampleRatio))),
		sdk.WithRawSpanLimits(sdk.SpanLimits{AttributeValueLengthLimit: 128, AttributeCountLimit: 16, EventCountLimit: 1, LinkCountLimit: 8}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "parola"),
			attribute.String("service.version", b.release), attribute.String("service.instance.id", b.node))))
	return tracing.New(provider), func() {
		ctx, cancel := context.WithTimeout(context.Background(), spanFlush)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			b.log.Warn("send the last traces", "err", err)
		}
	}, nil
}

// spanQueue counts the spans that find mostSpans waiting. The SDK's own queue is as long and would drop them, but say nothing.
type spanQueue struct {
	sdk.SpanProcessor
	waiting atomic.Int64
	lost    func()
}

// OnEnd implements sdk.SpanProcessor.
func (q *spanQueue) OnEnd(s sdk.ReadOnlySpan) {
	if q.waiting.Add(1) > mostSpans {
		q.waiting.Add(-1)
		q.lost()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// headers reads name=value pairs, as OTEL_EXPORTER_OTLP_HEADERS has them. Errors repeat no value: it may be a secret.
func (t Tracing) headers() (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(t.Headers.Reveal(), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || name == "" || value == "" || strings.ContainsAny(name, " :\r\n\t") || strings.ContainsAny(value, "\r\n") {
			return nil, errors.New("write name=value, separated by commas")
		}
		headers[name] = value
	}
	return headers, nil
}

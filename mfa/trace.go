package mfa

import (
	"context"

	"github.com/parola-id/parola/internal/tracing"
)

// traceCall begins the span of a call to a carrier, in the trace of its login. The first call of a delivery bears the
// traceparent that the delivery has had since it was announced; a retry, or the next carrier's, stands below it.
func (s *Service) traceCall(ctx context.Context, j job) (context.Context, *tracing.Span) {
	d := j.delivery
	w := tracing.Work{Name: "send passcode", Parent: j.challenge.Trace, As: d.Trace, Call: true}
	if d.Calls > 1 {
		w.Parent, w.As = d.Trace, ""
	}
	ctx, span := s.tracer.Start(ctx, w)
	span.Set("parola.challenge_id", d.ChallengeID)
	span.Set("parola.delivery_id", d.ID)
	span.Set("parola.channel", string(d.Channel))
	span.Set("parola.carrier", d.Carrier)
	span.Set("parola.trigger", d.Trigger)
	return ctx, span
}

// traceAnswer ends it with what the carrier answered.
func traceAnswer(span *tracing.Span, err error) {
	outcome, class := sendOutcome(err)
	span.Set("parola.outcome", outcome)
	span.Set("parola.failure_class", string(class))
	if err != nil {
		span.Fail(outcome)
	}
	span.End()
}

// traceReceipt tells a receipt in the trace of its delivery. The callback that brought it may have brought those of a
// thousand logins: it is a trace of its own, and linked.
func (s *Service) traceReceipt(ctx context.Context, t told) {
	d := t.delivery
	if d.Trace == "" {
		return
	}
	_, span := s.tracer.Start(ctx, tracing.Work{Name: "receipt", Parent: d.Trace, Cause: t.report.callback})
	span.Set("parola.delivery_id", d.ID)
	span.Set("parola.channel", string(d.Channel))
	span.Set("parola.carrier", d.Carrier)
	span.Set("parola.status", string(statusOf(t.report)))
	span.End()
}

package mfa

import (
	"context"
	"strconv"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/storage"
)

// event is an audit event about a challenge, with everything that ties it into the chain of its login.
func event(ctx context.Context, kind string, c storage.Challenge) storage.Event {
	return storage.Event{
		Kind: kind, PersonID: c.PersonID, ClientID: c.ClientID, AuthRequestID: c.AuthRequestID, ChallengeID: c.ID,
		CorrelationID: c.CorrelationID, TraceID: tracing.IDOf(c.Trace), SourceAddr: c.SourceAddr, UserAgent: reqinfo.From(ctx).UserAgent,
		Data: map[string]string{"purpose": string(c.Purpose)},
	}
}

// deliveryEvent is an event about one message, with the masked number. Its carrier id is not told: a wamid contains the number.
func deliveryEvent(ctx context.Context, kind string, c storage.Challenge, d storage.Delivery) storage.Event {
	e := event(ctx, kind, c)
	e.DeliveryID, e.Channel = d.ID, string(d.Channel)
	if c.PhoneLastTwo != "" {
		e.Data["phone"] = maskedNumber(c.PhoneCountry, c.PhoneLastTwo)
	}
	e.Data["trigger"] = d.Trigger
	if d.Carrier != "" {
		e.Data["carrier"] = d.Carrier
	}
	if d.FailureClass != "" {
		e.Data["failure_class"], e.Data["failure_code"] = d.FailureClass, d.FailureCode
	}
	return e
}

// failed marks an event as a failure with a short machine word.
func failed(e storage.Event, reason string) storage.Event {
	e.Outcome, e.Reason = audit.Failure, reason
	return e
}

func withTries(e storage.Event, c storage.Challenge) storage.Event {
	e.Data["tries"], e.Data["max_tries"] = strconv.Itoa(c.Tries), strconv.Itoa(c.MaxTries)
	return e
}

func rejectedEvent(ctx context.Context, ch storage.Channel, reason string) storage.Event {
	request := reqinfo.From(ctx)
	return storage.Event{
		Kind: audit.WebhookRejected, Outcome: audit.Failure, Reason: reason, Channel: string(ch),
		CorrelationID: request.CorrelationID, SourceAddr: request.Source, UserAgent: request.UserAgent,
	}
}

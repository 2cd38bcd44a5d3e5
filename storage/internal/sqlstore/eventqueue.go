package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// queuedEvent is an event as it waits in event_queue.
type queuedEvent struct {
	ID            string            `json:"id"`
	Version       int               `json:"version"`
	At            int64             `json:"at"`
	Kind          string            `json:"kind"`
	Outcome       string            `json:"outcome"`
	Reason        string            `json:"reason,omitempty"`
	Severity      string            `json:"severity,omitempty"`
	PersonID      string            `json:"person_id,omitempty"`
	ActorID       string            `json:"actor_id,omitempty"`
	ClientID      string            `json:"client_id,omitempty"`
	SessionID     string            `json:"session_id,omitempty"`
	AuthRequestID string            `json:"auth_request_id,omitempty"`
	GrantID       string            `json:"grant_id,omitempty"`
	ChallengeID   string            `json:"challenge_id,omitempty"`
	DeliveryID    string            `json:"delivery_id,omitempty"`
	JTI           string            `json:"jti,omitempty"`
	CorrelationID string            `json:"correlation_id,omitempty"`
	TraceID       string            `json:"trace_id,omitempty"`
	SourceAddr    string            `json:"source_addr,omitempty"`
	UserAgent     string            `json:"user_agent,omitempty"`
	Channel       string            `json:"channel,omitempty"`
	Node          string            `json:"node,omitempty"`
	Release       string            `json:"release,omitempty"`
	Data          map[string]string `json:"data,omitempty"`
}

// queued encodes an event. JSON has U+FFFD for bytes that are not UTF-8, and an escape for the NUL that PostgreSQL would not
// take from the log's own columns later: it becomes U+FFFD here, before anything is hashed.
func queued(e storage.Event) string {
	text := jsonText(queuedEvent{ID: e.ID, Version: e.Version, At: e.At.UnixMilli(), Kind: e.Kind, Outcome: e.Outcome,
		Reason: e.Reason, Severity: e.Severity, PersonID: e.PersonID, ActorID: e.ActorID, ClientID: e.ClientID,
		SessionID: e.SessionID, AuthRequestID: e.AuthRequestID, GrantID: e.GrantID, ChallengeID: e.ChallengeID,
		DeliveryID: e.DeliveryID, JTI: e.JTI, CorrelationID: e.CorrelationID, TraceID: e.TraceID, SourceAddr: e.SourceAddr,
		UserAgent: e.UserAgent, Channel: e.Channel, Node: e.Node, Release: e.Release, Data: e.Data})
	const nul = `\u0000`
	if !strings.Contains(text, nul) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, nul):
			b.WriteString("\uFFFD")
			text = text[len(nul):]
		case text[0] == '\\':
			b.WriteString(text[:2])
			text = text[2:]
		default:
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String()
}

func scanQueued(r row) (storage.Event, error) {
	var text string
	if err := r.Scan(&text); err != nil {
		return storage.Event{}, err
	}
	var q queuedEvent
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return storage.Event{}, fmt.Errorf("decode queued event: %w", err)
	}
	return storage.Event{ID: q.ID, Version: q.Version, At: time.UnixMilli(q.At).UTC(), Kind: q.Kind, Outcome: q.Outcome,
		Reason: q.Reason, Severity: q.Severity, PersonID: q.PersonID, ActorID: q.ActorID, ClientID: q.ClientID,
		SessionID: q.SessionID, AuthRequestID: q.AuthRequestID, GrantID: q.GrantID, ChallengeID: q.ChallengeID,
		DeliveryID: q.DeliveryID, JTI: q.JTI, CorrelationID: q.CorrelationID, TraceID: q.TraceID, SourceAddr: q.SourceAddr,
		UserAgent: q.UserAgent, Channel: q.Channel, Node: q.Node, Release: q.Release, Data: q.Data}, nil
}

// listQueue filters what waits. While a sealer runs that is little; after an outage of it, pages of it are read through.
func (s *Store) listQueue(ctx context.Context, f storage.EventFilter) (found []storage.Event, err error) {
	const page = 1000
	compare, order := ">", "ASC"
	if f.Backward {
		compare, order = "<", "DESC"
	}
	query := `SELECT record FROM event_queue WHERE id ` + compare + ` $1 ORDER BY id ` + order + ` LIMIT ` + number(page)
	after := f.AfterID
	if f.Backward && after == "" {
		after = "~" // behind every id
	}
	for {
		events, err := reading(scanQueued).all(ctx, s, query, after)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if after = e.ID; matchesFilter(e, f) {
				found = append(found, e)
			}
		}
		if len(events) < page || len(found) >= f.Limit {
			return found, nil
		}
	}
}

func matchesFilter(e storage.Event, f storage.EventFilter) bool {
	for _, key := range [][2]string{
		{f.PersonID, e.PersonID}, {f.ClientID, e.ClientID}, {f.AuthRequestID, e.AuthRequestID}, {f.GrantID, e.GrantID},
		{f.ChallengeID, e.ChallengeID}, {f.JTI, e.JTI}, {f.CorrelationID, e.CorrelationID}, {f.SessionID, e.SessionID},
	} {
		if key[0] != "" && key[0] != key[1] {
			return false
		}
	}
	kind := f.Kind == "" || e.Kind == f.Kind || strings.HasSuffix(f.Kind, ".") && strings.HasPrefix(e.Kind, f.Kind)
	return kind && (f.Since.IsZero() || e.ID >= storage.FirstID(f.Since)) && (f.Until.IsZero() || e.ID < storage.FirstID(f.Until))
}

// merge puts what waits and what has its place into the order of the filter. Of an event that is in both, the one with its
// place stays.
func merge(waiting, placed []storage.Event, f storage.EventFilter) []storage.Event {
	if len(waiting) == 0 {
		return placed
	}
	all := append(placed, waiting...)
	slices.SortStableFunc(all, func(a, b storage.Event) int {
		if f.Backward {
			a, b = b, a
		}
		return cmp.Compare(a.ID, b.ID)
	})
	all = slices.CompactFunc(all, func(a, b storage.Event) bool { return a.ID == b.ID })
	return all[:min(len(all), f.Limit)]
}

const (
	// mostEvents bounds one statement that inserts events.
	mostEvents = 64
	// eventCells are the parameters of a sealed event.
	eventCells = 27
)

// parts cuts events into pieces of at most that many, whose lengths are powers of two: statements then come in few texts,
// and each database prepares them once.
func parts(events []storage.Event, most int) iter.Seq[[]storage.Event] {
	return func(yield func([]storage.Event) bool) {
		for len(events) > 0 {
			n := 1 << (bits.Len(uint(min(len(events), most, mostEvents))) - 1)
			if !yield(events[:n]) {
				return
			}
			events = events[n:]
		}
	}
}

package app

import (
	"encoding/hex"
	"time"

	"github.com/parola-id/parola/storage"
)

// EventView is an event for programs, with the names of its canonical form. Sequence, previous hash and hash are its place in the chain; an event that was
// just written has none yet.
type EventView struct {
	ID            string            `json:"id"`
	Version       int               `json:"version"`
	At            time.Time         `json:"at"`
	Kind          string            `json:"kind"`
	Outcome       string            `json:"outcome"`
	Reason        string            `json:"reason,omitempty"`
	Severity      string            `json:"severity"`
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
	Sequence      int64             `json:"sequence,omitempty"`
	PrevHash      string            `json:"prev_hash,omitempty"`
	Hash          string            `json:"hash,omitempty"`
}

// ViewEvent shows an event.
func ViewEvent(e storage.Event) EventView {
	return EventView{
		ID: e.ID, Version: e.Version, At: e.At, Kind: e.Kind, Outcome: e.Outcome, Reason: e.Reason, Severity: e.Severity,
		PersonID: e.PersonID, ActorID: e.ActorID, ClientID: e.ClientID, SessionID: e.SessionID,
		AuthRequestID: e.AuthRequestID, GrantID: e.GrantID, ChallengeID: e.ChallengeID, DeliveryID: e.DeliveryID,
		JTI: e.JTI, CorrelationID: e.CorrelationID, TraceID: e.TraceID, SourceAddr: e.SourceAddr, UserAgent: e.UserAgent,
		Channel: e.Channel, Node: e.Node, Release: e.Release, Data: e.Data, Sequence: e.Sequence,
		PrevHash: hex.EncodeToString(e.PrevHash), Hash: hex.EncodeToString(e.Hash),
	}
}

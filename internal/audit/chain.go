package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/parola-id/parola/storage"
)

// The chain is described in docs/audit-log.md for people who verify it without this program. Whatever changes here
// changes there, and gets new first lines: what was sealed must verify for ever.
const (
	eventLine      = "parola-audit-event-v1\n"
	checkpointLine = "parola-audit-checkpoint-v1\n"
)

// genesis is what the first event of a chain is linked to.
var genesis = make([]byte, sha256.Size)

// stamp is the form of times: UTC to the millisecond, always with three digits.
const stamp = "2006-01-02T15:04:05.000Z"

// Canonical returns the bytes of an event that its hash covers: JSON by RFC 8785, with the members that are not empty.
// It holds the sequence number; PrevHash and Hash are no part of it.
func Canonical(e storage.Event) []byte {
	var members []member
	text := func(name, value string) {
		if value != "" {
			members = append(members, member{name, quoted(value)})
		}
	}
	text("actor_id", e.ActorID)
	text("at", e.At.UTC().Format(stamp))
	text("auth_request_id", e.AuthRequestID)
	text("challenge_id", e.ChallengeID)
	text("channel", e.Channel)
	text("client_id", e.ClientID)
	text("correlation_id", e.CorrelationID)
	text("delivery_id", e.DeliveryID)
	text("grant_id", e.GrantID)
	text("id", e.ID)
	text("jti", e.JTI)
	text("kind", e.Kind)
	text("node", e.Node)
	text("outcome", e.Outcome)
	text("person_id", e.PersonID)
	text("reason", e.Reason)
	text("release", e.Release)
	text("session_id", e.SessionID)
	text("severity", e.Severity)
	text("source_addr", e.SourceAddr)
	text("trace_id", e.TraceID)
	text("user_agent", e.UserAgent)
	members = append(members,
		member{"sequence", strconv.AppendInt(nil, e.Sequence, 10)},
		member{"version", strconv.AppendInt(nil, int64(e.Version), 10)})
	if len(e.Data) > 0 {
		var data []member
		for name, value := range e.Data {
			data = append(data, member{name, quoted(value)})
		}
		members = append(members, member{"data", object(data)})
	}
	return object(members)
}

type member struct {
	name  string
	value []byte
}

// object writes members in the order of RFC 8785 §3.2.3: by UTF-16 code units, which differs from that of Go's strings
// above U+FFFF.
func object(members []member) []byte {
	slices.SortFunc(members, func(a, b member) int {
		return slices.Compare(utf16.Encode([]rune(a.name)), utf16.Encode([]rune(b.name)))
	})
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quoted(m.name)...)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}

// quoted writes a string as RFC 8785 §3.2.2.2 asks: only what JSON must escape is escaped, in its shortest form.
func quoted(s string) []byte {
	out := []byte{'"'}
	for _, r := range s {
		switch r {
		case '"', '\\':
			out = append(out, '\\', byte(r))
		case '\b':
			out = append(out, '\\', 'b')
		case '\t':
			out = append(out, '\\', 't')
		case '\n':
			out = append(out, '\\', 'n')
		case '\f':
			out = append(out, '\\', 'f')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			if r < 0x20 {
				out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
			} else {
				out = utf8.AppendRune(out, r) // bytes that are not UTF-8 come as U+FFFD; storage holds none
			}
		}
	}
	return append(out, '"')
}

// link returns the hash of an event whose Sequence is set, linked to the one before.
func link(prev []byte, e storage.Event) []byte {
	h := sha256.New()
	h.Write([]byte(eventLine))
	h.Write(prev)
	h.Write(Canonical(e))
	return h.Sum(nil)
}

// signed returns the bytes of a checkpoint that its signature covers.
func signed(c storage.Checkpoint) []byte {
	var b bytes.Buffer
	b.WriteString(checkpointLine)
	for _, line := range []string{
		strconv.FormatInt(c.Sequence, 10), hex.EncodeToString(c.Head), c.At.UTC().Format(stamp), c.KeyID,
	} {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// KeyID names a public key: the first 8 bytes of its SHA-256, in hexadecimal.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

func newCheckpoint(key ed25519.PrivateKey, sequence int64, head []byte, at time.Time) storage.Checkpoint {
	c := storage.Checkpoint{
		Sequence: sequence, Head: head, At: at.UTC().Truncate(time.Millisecond), KeyID: KeyID(key.Public().(ed25519.PublicKey)),
	}
	c.Signature = ed25519.Sign(key, signed(c))
	return c
}

package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"maps"
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
	o := object{out: append(make([]byte, 0, 640), '{')}
	// In the order of RFC 8785 §3.2.3, which for these names is that of their bytes.
	o.text("actor_id", e.ActorID)
	o.text("at", e.At.UTC().Format(stamp))
	o.text("auth_request_id", e.AuthRequestID)
	o.text("challenge_id", e.ChallengeID)
	o.text("channel", e.Channel)
	o.text("client_id", e.ClientID)
	o.text("correlation_id", e.CorrelationID)
	if len(e.Data) > 0 {
		o.name("data")
		o.out = appendObject(o.out, e.Data)
	}
	o.text("delivery_id", e.DeliveryID)
	o.text("grant_id", e.GrantID)
	o.text("id", e.ID)
	o.text("jti", e.JTI)
	o.text("kind", e.Kind)
	o.text("node", e.Node)
	o.text("outcome", e.Outcome)
	o.text("person_id", e.PersonID)
	o.text("reason", e.Reason)
	o.text("release", e.Release)
	o.number("sequence", e.Sequence)
	o.text("session_id", e.SessionID)
	o.text("severity", e.Severity)
	o.text("source_addr", e.SourceAddr)
	o.text("trace_id", e.TraceID)
	o.text("user_agent", e.UserAgent)
	o.number("version", int64(e.Version))
	return append(o.out, '}')
}

// object is a JSON object that is being written.
type object struct{ out []byte }

func (o *object) name(name string) {
	if o.out[len(o.out)-1] != '{' {
		o.out = append(o.out, ',')
	}
	o.out = append(appendQuoted(o.out, name), ':')
}

// text writes a member that is not empty.
func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.out = appendQuoted(o.out, value)
	}
}

func (o *object) number(name string, value int64) {
	o.name(name)
	o.out = strconv.AppendInt(o.out, value, 10)
}

// appendObject writes members in the order of RFC 8785 §3.2.3: by UTF-16 code units, which differs from that of Go's strings
// above U+FFFF.
func appendObject(out []byte, members map[string]string) []byte {
	names := slices.SortedFunc(maps.Keys(members), func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	})
	o := object{out: append(out, '{')}
	for _, name := range names {
		o.name(name)
		o.out = appendQuoted(o.out, members[name])
	}
	return append(o.out, '}')
}

// appendQuoted writes a string as RFC 8785 §3.2.2.2 asks: only what JSON must escape is escaped, in its shortest form.
func appendQuoted(out []byte, s string) []byte {
	out = append(out, '"')
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

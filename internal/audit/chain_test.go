package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parola-id/parola/storage"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 123e6, time.UTC)

// TestCanonical holds the format of docs/audit-log.md: a change here breaks every chain there is.
func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		name string
		e    storage.Event
		want string
	}{
		{"an event with every field", storage.Event{
			ID: "01", Version: 1, At: noon, Kind: "authn.otp.sent", Outcome: "success", Reason: "r", Severity: "info",
			PersonID: "p", ActorID: "cli", ClientID: "c", SessionID: "s", AuthRequestID: "ar", GrantID: "g", ChallengeID: "ch",
			DeliveryID: "d", JTI: "j", CorrelationID: "co", TraceID: "tr", SourceAddr: "192.0.2.1", UserAgent: "UA",
			Channel: "sms", Node: "n", Release: "v1", Data: map[string]string{"b": "2", "a": "1"}, Sequence: 7,
			PrevHash: []byte{1}, Hash: []byte{2},
		}, `{"actor_id":"cli","at":"2026-03-14T12:00:00.123Z","auth_request_id":"ar","challenge_id":"ch","channel":"sms",` +
			`"client_id":"c","correlation_id":"co","data":{"a":"1","b":"2"},"delivery_id":"d","grant_id":"g","id":"01",` +
			`"jti":"j","kind":"authn.otp.sent","node":"n","outcome":"success","person_id":"p","reason":"r","release":"v1",` +
			`"sequence":7,"session_id":"s","severity":"info","source_addr":"192.0.2.1","trace_id":"tr","user_agent":"UA",` +
			`"version":1}`},
		{"an event with what must be there only, in another zone", storage.Event{
			ID: "01", Version: 1, At: noon.Truncate(time.Second).In(time.FixedZone("Rome", 3600)), Kind: "system.start", Sequence: 1,
		}, `{"at":"2026-03-14T12:00:00.000Z","id":"01","kind":"system.start","sequence":1,"version":1}`},
		{"text is escaped as little as JSON allows", storage.Event{
			UserAgent: "\"\\\b\f\n\r\t\x01\x1f\x7f</é\u2028📱", Version: 1,
		}, `{"at":"0001-01-01T00:00:00.000Z","sequence":0,"user_agent":"\"\\\b\f\n\r\t\u0001\u001f` + "\x7f</é\u2028📱" + `","version":1}`},
		{"names are ordered by UTF-16", storage.Event{
			Data: map[string]string{"\uffff": "2", "📱": "1", "a": "0"},
		}, `{"at":"0001-01-01T00:00:00.000Z","data":{"a":"0","📱":"1","` + "\uffff" + `":"2"},"sequence":0,"version":0}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(Canonical(c.e)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestVectors holds the example in docs/audit-log.md, whose values another program computed.
func TestVectors(t *testing.T) {
	document, err := os.ReadFile("../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	e := storage.Event{ID: "01", Version: 1, At: noon, Kind: "system.start", Outcome: "success", Severity: "info", Sequence: 1}
	hash := link(genesis, e)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	c := newCheckpoint(key, 1, hash, noon)
	for _, value := range []struct{ name, got, want string }{
		{"hash", hex.EncodeToString(hash), "81a8673903bd92d4bab770ee61efe3f4a68d56d2d712bba2841697736849505e"},
		{"key id", c.KeyID, "fe812c12f3ab4ce6"},
		{"signature", hex.EncodeToString(c.Signature), "0a156a62b5bfe0c0046376965b2d4f75576dd62696e3f3a13902b36ecc299bfd" +
			"b3da1142bbda4e4f4326cb008757e97c4f00f289a05b4a40146a20e83362a40d"},
	} {
		if value.got != value.want {
			t.Errorf("%s: got %s, want %s", value.name, value.got, value.want)
		}
		if !bytes.Contains(document, []byte(value.want)) {
			t.Errorf("the document does not show the %s %s", value.name, value.want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("agent", "name", "value")
	f.Add("\x00\"\\\n", "📱", "\u2028")
	f.Add("\xff", "a", "")
	f.Fuzz(func(t *testing.T, agent, name, value string) {
		e := storage.Event{ID: "01", At: noon, UserAgent: agent, Data: map[string]string{name: value}, Sequence: 3, Version: 1}
		got := Canonical(e)
		if !utf8.Valid(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		var back struct {
			UserAgent string            `json:"user_agent"`
			Data      map[string]string `json:"data"`
		}
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("not JSON: %v: %q", err, got)
		}
		valid := func(s string) string { return strings.ToValidUTF8(string([]rune(s)), "\uFFFD") }
		if back.UserAgent != valid(agent) || back.Data[valid(name)] != valid(value) {
			t.Fatalf("%q does not say what the event says", got)
		}
	})
}

func TestPublicKeys(t *testing.T) {
	a := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	b := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	keys, err := DecodePublicKeys(append(EncodePublicKey(a), EncodePublicKey(b)...))
	if err != nil || len(keys) != 2 || !keys[0].Equal(a) || !keys[1].Equal(b) {
		t.Errorf("got %v, %v", keys, err)
	}
	for name, text := range map[string]string{
		"nothing":      "",
		"words":        "not a key",
		"a broken key": "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
		"another kind": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaqz2eQ+k1nSsL6rJ2mB2hZ0rQ5m\nJjzJ0V2m0b0Qm5Hn6l5g0yQ8o1fS3Vb6uWlJk6v6bS8z2n7m9s8J3m6x5A==\n-----END PUBLIC KEY-----\n",
	} {
		if keys, err := DecodePublicKeys([]byte(text)); err == nil {
			t.Errorf("%s: got %v", name, keys)
		}
	}
}

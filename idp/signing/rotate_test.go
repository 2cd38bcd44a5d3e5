package signing

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// two are nodes on one store, whose clocks move together.
func two(t *testing.T, store storage.Store) (first, second node, later func(time.Duration)) {
	keys := testKeys(t, "r")
	first, second = newNode(t, store, store, keys), newNode(t, store, store, keys)
	return first, second, func(d time.Duration) { first.clock.Advance(d); second.clock.Advance(d) }
}

func (n node) tend(t testing.TB) {
	t.Helper()
	if err := n.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (n node) kids(t testing.TB) []string {
	t.Helper()
	var kids []string
	for _, k := range n.published(t).Keys {
		kids = append(kids, k.KeyID)
	}
	return kids
}

func signedBy(t testing.TB, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, accepted)
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Protected.KeyID
}

func wantAccepted(t testing.TB, n node, token string, want bool) {
	t.Helper()
	_, _, err := n.Verify(t.Context(), token)
	if err != nil && !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if accepted := err == nil; accepted != want {
		t.Errorf("the token is accepted: %v, want %v", accepted, want)
	}
}

func TestKEY03_KEY04_AScheduledRotationOverTwoNodes(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		first, second, later := two(t, store)
		ensured(t, first, ES256)
		old := first.sign(t, ES256, "JWT", struct{}{})
		later(90*day - first.schedule.Ahead)
		first.tend(t)
		second.tend(t)
		if kids := second.kids(t); len(kids) != 2 {
			t.Fatalf("%d keys are published, want the next one too", len(kids))
		}
		if signedBy(t, second.sign(t, ES256, "JWT", struct{}{})) != signedBy(t, old) {
			t.Error("the next key signs before everybody can know it")
		}
		later(first.schedule.Ahead)
		second.tend(t)
		later(time.Second)
		fresh := first.sign(t, ES256, "JWT", struct{}{})
		if signedBy(t, fresh) == signedBy(t, old) {
			t.Error("a second later the other node still signs with the previous key")
		}
		for _, n := range []node{first, second} {
			wantAccepted(t, n, old, true)
			wantAccepted(t, n, fresh, true)
		}
		later(first.schedule.Keep)
		first.tend(t)
		later(time.Second)
		wantAccepted(t, second, old, false)
		if kids := second.kids(t); !slices.Equal(kids, []string{signedBy(t, fresh)}) {
			t.Errorf("at the end %v are published", kids)
		}
		wantKinds(t, store, audit.KeyCreated, audit.KeyCreated, audit.KeyActivated, audit.KeyRetired)
	})
}

func wantKinds(t testing.TB, store storage.Store, want ...string) {
	t.Helper()
	events, err := store.ListEvents(t.Context(), storage.EventFilter{Kind: "key."})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
		if e.Data["kid"] == "" || e.Data["alg"] == "" {
			t.Errorf("event %s names no key: %v", e.Kind, e.Data)
		}
	}
	slices.Sort(kinds)
	slices.Sort(want)
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func TestOfManyNodesOneTendsTheKeys(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		first, second, later := two(t, store)
		ensured(t, first, ES256, EdDSA)
		later(90 * day)
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if err := []node{first, second}[i%2].Tend(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		wantKinds(t, store, audit.KeyCreated, audit.KeyCreated, audit.KeyCreated, audit.KeyCreated)
	})
}

func TestRotateByHand(t *testing.T) {
	store := storagetest.New(t)
	first, second, later := two(t, store)
	ensured(t, first, ES256)
	old := first.sign(t, ES256, "JWT", struct{}{})
	rotate := func(atOnce bool) Rotated {
		t.Helper()
		done, err := first.Rotate(t.Context(), "cli", nil, atOnce)
		if err != nil || len(done) != 1 || done[0].Alg != ES256 {
			t.Fatalf("Rotate = %v, %v", done, err)
		}
		return done[0]
	}
	begun := rotate(false)
	if !begun.SignsAt.Equal(testNow.Add(first.schedule.Ahead)) {
		t.Errorf("it signs at %s", begun.SignsAt)
	}
	if again := rotate(false); again != begun {
		t.Errorf("asked again: %v, want the same key and time", again)
	}
	later(time.Second)
	if signedBy(t, second.sign(t, ES256, "JWT", struct{}{})) != signedBy(t, old) {
		t.Error("the next key signs at once")
	}
	if hurried := rotate(true); hurried.KID != begun.KID || !hurried.SignsAt.IsZero() {
		t.Errorf("in a hurry: %v", hurried)
	}
	later(time.Second)
	if signedBy(t, second.sign(t, ES256, "JWT", struct{}{})) != begun.KID {
		t.Error("it does not sign")
	}
	wantAccepted(t, second, old, true)
	if _, err := first.Rotate(t.Context(), "cli", []string{RS256}, false); !errors.Is(err, ErrNoKey) {
		t.Errorf("an algorithm without a key: %v", err)
	}
	if hurried := rotate(true); hurried.KID == begun.KID {
		t.Error("a new key was to be made and to sign at once")
	}
}

func TestKEY05_AWithdrawnKeyIsDeadOnAllNodesWithinASecond(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, store storage.Store) {
		first, second, later := two(t, store)
		ensured(t, first, ES256, EdDSA)
		stolen, kept := first.sign(t, ES256, "at+jwt", struct{}{}), first.sign(t, EdDSA, "at+jwt", struct{}{})
		wantAccepted(t, second, stolen, true)
		done, err := first.Withdraw(t.Context(), "cli", "laptop stolen", signedBy(t, stolen))
		if err != nil || len(done) != 1 || done[0].State != storage.KeyCurrent {
			t.Fatalf("Withdraw = %v, %v", done, err)
		}
		wantAccepted(t, first, stolen, false) // here at once
		later(time.Second)
		wantAccepted(t, second, stolen, false)
		wantAccepted(t, second, kept, true)
		if kids := second.kids(t); slices.Contains(kids, signedBy(t, stolen)) {
			t.Error("it is still published")
		}
		if by := signedBy(t, second.sign(t, ES256, "at+jwt", struct{}{})); by != done[0].Successor {
			t.Errorf("%s signs, want the successor %s", by, done[0].Successor)
		}
		keys, err := store.SigningKeys(t.Context())
		if k, found := byKID(keys, signedBy(t, stolen)); err != nil || !found || len(k.Sealed) != 0 {
			t.Errorf("the private half is still there: %v, %v", found, err)
		}
		events, err := store.ListEvents(t.Context(), storage.EventFilter{Kind: audit.KeyRevoked})
		if err != nil || len(events) != 1 || events[0].Severity != audit.High || events[0].Data["reason"] != "laptop stolen" || events[0].ActorID != "cli" {
			t.Errorf("events %v, %v", events, err)
		}
		for kid, want := range map[string]error{signedBy(t, stolen): ErrRetired, "none": ErrUnknownKID} {
			if _, err := first.Withdraw(t.Context(), "cli", "again", kid); !errors.Is(err, want) {
				t.Errorf("withdraw %s: %v, want %v", kid, err, want)
			}
		}
	})
}

func TestTheSuccessorOfAWithdrawnKeyIsTheOneThatIsKnownAlready(t *testing.T) {
	for _, tt := range []struct {
		name      string
		published time.Duration
		both      bool // the next key is withdrawn too
		want      bool // the next key takes over
	}{
		{"one that every relying party has", LeastAhead, false, true},
		{"one that was published a moment ago is no better than a fresh one", LeastAhead - time.Second, false, false},
		{"one that is withdrawn with it", time.Hour, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, _, later := two(t, storagetest.New(t))
			ensured(t, n, ES256)
			begun, err := n.Rotate(t.Context(), "cli", nil, false)
			if err != nil {
				t.Fatal(err)
			}
			later(tt.published)
			kids := []string{signedBy(t, n.sign(t, ES256, "JWT", struct{}{}))}
			if tt.both {
				kids = append(kids, begun[0].KID)
			}
			done, err := n.Withdraw(t.Context(), "cli", "a node was broken into", kids...)
			if err != nil || done[0].Successor == "" {
				t.Fatalf("Withdraw = %v, %v", done, err)
			}
			if known := done[0].Successor == begun[0].KID; known != tt.want {
				t.Errorf("the next key took over: %v, want %v", known, tt.want)
			}
			if by := signedBy(t, n.sign(t, ES256, "JWT", struct{}{})); by != done[0].Successor {
				t.Errorf("%s signs, want %s", by, done[0].Successor)
			}
		})
	}
}

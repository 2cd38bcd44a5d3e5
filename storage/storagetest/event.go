package storagetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func eventRecord(at time.Time) storage.Event {
	return storage.Event{
		ID: storage.NewTimeID(at), Version: 1, At: at, Kind: "authn.otp.sent", Outcome: "success", Reason: "r", Severity: "info",
		PersonID: "p1", ActorID: "cli", ClientID: "c1", SessionID: "s1", AuthRequestID: "a1", GrantID: "g1", ChallengeID: "ch1",
		DeliveryID: "d1", JTI: "j1", CorrelationID: "x1", TraceID: "t1", SourceAddr: "192.0.2.1", UserAgent: "UA",
		Channel: "sms", Node: "n", Release: "dev", Data: map[string]string{"carrier": "meta", "number": "+39 … 67"},
	}
}

func testEvents(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	var ids []string
	for i := range 6 {
		e := eventRecord(noon.Add(time.Duration(i) * time.Second))
		if i%2 == 1 {
			e.PersonID, e.ClientID, e.SessionID, e.AuthRequestID, e.GrantID = "p2", "c2", "s2", "a2", "g2"
			e.ChallengeID, e.JTI, e.CorrelationID, e.Kind, e.Data = "ch2", "j2", "x2", "session.created", nil
		}
		ids = append(ids, e.ID)
		write(t, s, func(ctx context.Context) error { return s.AppendEvents(ctx, e) })
		got := must(s.ListEvents(ctx, storage.EventFilter{AfterID: ids[max(i-1, 0)], Limit: 1}))(t)
		if i > 0 {
			same(t, got, []storage.Event{e})
		}
	}
	list := func(t *testing.T, f storage.EventFilter) (found []string) {
		t.Helper()
		for _, e := range must(s.ListEvents(ctx, f))(t) {
			found = append(found, e.ID)
		}
		return found
	}

	t.Run("events are found by each of their keys", func(t *testing.T) {
		odd := []string{ids[1], ids[3], ids[5]}
		for name, f := range map[string]storage.EventFilter{
			"person": {PersonID: "p2"}, "client": {ClientID: "c2"}, "auth request": {AuthRequestID: "a2"}, "grant": {GrantID: "g2"},
			"challenge": {ChallengeID: "ch2"}, "jti": {JTI: "j2"}, "correlation": {CorrelationID: "x2"}, "session": {SessionID: "s2"},
			"kind": {Kind: "session.created"}, "prefix": {Kind: "session."}, "two keys": {PersonID: "p2", ClientID: "c2"},
		} {
			if got := list(t, f); !slices.Equal(got, odd) {
				t.Errorf("by %s: %v", name, got)
			}
		}
		same(t, list(t, storage.EventFilter{PersonID: "p2", ClientID: "c1"}), []string{})
		same(t, list(t, storage.EventFilter{Kind: "session"}), []string{})
	})
	t.Run("events are found by time and in pages, both ways", func(t *testing.T) {
		same(t, list(t, storage.EventFilter{Since: noon.Add(2 * time.Second), Until: noon.Add(4 * time.Second)}), ids[2:4])
		same(t, list(t, storage.EventFilter{AfterID: ids[3]}), ids[4:])
		same(t, list(t, storage.EventFilter{Backward: true, Limit: 2}), []string{ids[5], ids[4]})
		same(t, list(t, storage.EventFilter{Backward: true, AfterID: ids[1]}), []string{ids[0]})
	})
	t.Run("more kinds of questions than a store prepares, at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for mask := range 300 {
					has := func(bit int, value string) string {
						if mask&(1<<bit) == 0 {
							return ""
						}
						return value
					}
					found, err := s.ListEvents(ctx, storage.EventFilter{
						PersonID: has(0, "p2"), ClientID: has(1, "c2"), AuthRequestID: has(2, "a2"), GrantID: has(3, "g2"),
						ChallengeID: has(4, "ch2"), JTI: has(5, "j2"), CorrelationID: has(6, "x2"), SessionID: has(7, "s2"),
						Kind: has(8, "session."),
					})
					if err != nil || len(found) < 3 {
						t.Errorf("question %d: %d found, %v", mask, len(found), err)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("a thousand events are appended at once", func(t *testing.T) {
		var many []storage.Event
		for range 1000 {
			e := eventRecord(noon.Add(-time.Hour))
			e.PersonID = "many"
			many = append(many, e)
		}
		write(t, s, func(ctx context.Context) error { return s.AppendEvents(ctx, many...) })
		same(t, len(list(t, storage.EventFilter{PersonID: "many", Limit: 10000})), 1000)
	})
	t.Run("an event whose change is rolled back never was", func(t *testing.T) {
		e := eventRecord(noon)
		e.PersonID = "undone"
		refused(t, s, errChanged, func(ctx context.Context) error {
			if err := s.AppendEvents(ctx, e); err != nil {
				return err
			}
			return errChanged
		})
		same(t, list(t, storage.EventFilter{PersonID: "undone"}), []string{})
	})
	testSeals(t, db)
}

func testSeals(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	seal := func(e storage.Event, n int64) storage.Event {
		e.Sequence, e.PrevHash, e.Hash = n, []byte{byte(n - 1)}, []byte{byte(n)}
		return e
	}

	t.Run("events are sealed in order, each once and each number once", func(t *testing.T) {
		sequence, hash, err := s.LastSeal(ctx)
		same(t, []any{sequence, hash, err}, []any{int64(0), []byte(nil), nil})
		open := must(s.UnsealedEvents(ctx, 3))(t)
		if len(open) != 3 || open[0].ID >= open[1].ID {
			t.Fatalf("unsealed: %v", open)
		}
		write(t, s, func(ctx context.Context) error {
			return s.SealEvents(ctx, []storage.Event{seal(open[0], 1), seal(open[1], 2)})
		})
		got := must(s.SealedEvents(ctx, 0, 10))(t)
		for i := range 2 {
			open[i].Sequence, open[i].PrevHash, open[i].Hash = int64(i+1), []byte{byte(i)}, []byte{byte(i + 1)}
		}
		same(t, got, open[:2])
		same(t, must(s.SealedEvents(ctx, 1, 10))(t), open[1:2])
		sequence, hash, err = s.LastSeal(ctx)
		same(t, []any{sequence, hash, err}, []any{int64(2), []byte{2}, nil})

		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.SealEvents(ctx, []storage.Event{seal(open[0], 3)}) })
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.SealEvents(ctx, []storage.Event{seal(open[2], 2)}) })
		same(t, must(s.UnsealedEvents(ctx, 1))(t)[0].ID, open[2].ID)
	})
	t.Run("many are sealed at once, or none is", func(t *testing.T) {
		var many []storage.Event
		for range 150 {
			many = append(many, eventRecord(noon.Add(-2*time.Hour)))
		}
		write(t, s, func(ctx context.Context) error { return s.AppendEvents(ctx, many...) })
		seals := make([]storage.Event, len(many))
		for i, e := range many {
			seals[i] = seal(e, int64(1000+i))
		}
		for name, spoil := range map[string]func(last *storage.Event){
			"an event that is missing":                   func(last *storage.Event) { last.ID = "none" },
			"an event that is named twice":               func(last *storage.Event) { last.ID = seals[0].ID },
			"an event that is named twice in one breath": func(last *storage.Event) { last.ID = seals[148].ID },
			"a number that is named twice":               func(last *storage.Event) { last.Sequence = 1148 },
			"a number that exists":                       func(last *storage.Event) { last.Sequence = 1 },
		} {
			spoilt := slices.Clone(seals)
			spoil(&spoilt[149])
			if err := s.InTx(ctx, func(ctx context.Context) error { return s.SealEvents(ctx, spoilt) }); !errors.Is(err, storage.ErrConflict) {
				t.Errorf("%s: got %v", name, err)
			}
			same(t, len(must(s.SealedEvents(ctx, 999, 1000))(t)), 0)
		}
		write(t, s, func(ctx context.Context) error { return s.SealEvents(ctx, seals) })
		got := must(s.SealedEvents(ctx, 999, 1000))(t)
		for i := range many {
			many[i].Sequence, many[i].PrevHash, many[i].Hash = seals[i].Sequence, seals[i].PrevHash, seals[i].Hash
		}
		same(t, got, many)
		write(t, s, func(ctx context.Context) error { return s.SealEvents(ctx, nil) })
	})
	t.Run("the sealed events of several challenges, up to a number", func(t *testing.T) {
		var told []storage.Event
		for _, challenge := range []string{"one", "two", "one", "three", "two"} {
			e := eventRecord(noon.Add(-time.Hour))
			e.ChallengeID = challenge
			told = append(told, e)
		}
		write(t, s, func(ctx context.Context) error { return s.AppendEvents(ctx, told...) })
		seals := make([]storage.Event, 4) // the fifth stays unsealed
		for i := range seals {
			seals[i] = seal(told[i], int64(2000+i))
			told[i].Sequence, told[i].PrevHash, told[i].Hash = seals[i].Sequence, seals[i].PrevHash, seals[i].Hash
		}
		write(t, s, func(ctx context.Context) error { return s.SealEvents(ctx, seals) })
		same(t, must(s.SealedEventsOf(ctx, []string{"two", "one", "four"}, 9999))(t), told[:3])
		same(t, must(s.SealedEventsOf(ctx, []string{"one", "three"}, 2001))(t), told[:1])
		same(t, len(must(s.SealedEventsOf(ctx, nil, 9999))(t)), 0)
	})
	t.Run("of eight sealers that take the same number exactly one succeeds", func(t *testing.T) {
		open := must(s.UnsealedEvents(ctx, 8))(t)
		won := make(chan bool, 8)
		nodes := db.two(t)
		for i, e := range open {
			go func() {
				node := nodes[i%2]
				err := node.InTx(ctx, func(ctx context.Context) error { return node.SealEvents(ctx, []storage.Event{seal(e, 3)}) })
				if err != nil && !errors.Is(err, storage.ErrConflict) {
					t.Error(err)
				}
				won <- err == nil
			}()
		}
		wins := 0
		for range open {
			if <-won {
				wins++
			}
		}
		same(t, wins, 1)
	})
	t.Run("what no database keeps as text is replaced before it is sealed", func(t *testing.T) {
		e := eventRecord(noon)
		e.PersonID, e.UserAgent = "odd", "a\x00b\xff \\u0000 \"\\"
		e.Data = map[string]string{"k": "\x00"}
		write(t, s, func(ctx context.Context) error { return s.AppendEvents(ctx, e) })
		found := must(s.ListEvents(ctx, storage.EventFilter{PersonID: "odd"}))(t)
		if len(found) != 1 || found[0].UserAgent != "a\uFFFDb\uFFFD \\u0000 \"\\" || found[0].Data["k"] != "\uFFFD" {
			t.Fatalf("found %+v", found)
		}
		sealed := found[0]
		sealed.Sequence, sealed.PrevHash, sealed.Hash = 500_000, []byte{1}, []byte{2}
		write(t, s, func(ctx context.Context) error { return s.SealEvents(ctx, []storage.Event{sealed}) })
		same(t, must(s.ListEvents(ctx, storage.EventFilter{PersonID: "odd"}))(t), []storage.Event{sealed})
	})
	t.Run("checkpoints come in order, one per number", func(t *testing.T) {
		_, err := s.LastCheckpoint(ctx)
		isError(t, err, storage.ErrNotFound)
		c := storage.Checkpoint{Sequence: 7, Head: []byte{7}, At: noon, KeyID: "k", Signature: []byte{1, 2}}
		d := storage.Checkpoint{Sequence: 3, Head: []byte{3}, At: noon, KeyID: "k", Signature: []byte{3}}
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertCheckpoint(ctx, c); err != nil {
				return err
			}
			return s.InsertCheckpoint(ctx, d)
		})
		same(t, must(s.Checkpoints(ctx, 0, 10))(t), []storage.Checkpoint{d, c})
		same(t, must(s.Checkpoints(ctx, 3, 10))(t), []storage.Checkpoint{c})
		same(t, must(s.LastCheckpoint(ctx))(t), c)
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.InsertCheckpoint(ctx, c) })
	})
}

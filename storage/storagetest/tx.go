package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

var errChanged = errors.New("changed my mind")

func testTransactions(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("a rollback leaves nothing", func(t *testing.T) {
		p := personRecord()
		refused(t, s, errChanged, func(ctx context.Context) error {
			if err := s.InsertPerson(ctx, p); err != nil {
				return err
			}
			if _, err := s.Person(ctx, p.ID); err != nil {
				t.Errorf("a read inside the transaction does not see its write: %v", err)
			}
			return errChanged
		})
		_, err := s.Person(ctx, p.ID)
		isError(t, err, storage.ErrNotFound)
	})

	t.Run("nobody outside sees a write before the commit", func(t *testing.T) {
		p := personRecord()
		write(t, s, func(inside context.Context) error {
			if err := s.InsertPerson(inside, p); err != nil {
				return err
			}
			_, err := s.Person(ctx, p.ID)
			isError(t, err, storage.ErrNotFound)
			return nil
		})
		must(s.Person(ctx, p.ID))(t)
	})

	t.Run("a panic rolls back and goes on", func(t *testing.T) {
		p := personRecord()
		func() {
			defer func() {
				if recover() != "oh" {
					t.Error("the panic did not go on")
				}
			}()
			s.InTx(ctx, func(ctx context.Context) error {
				s.InsertPerson(ctx, p)
				panic("oh")
			})
		}()
		_, err := s.Person(ctx, p.ID)
		isError(t, err, storage.ErrNotFound)
		seedPerson(t, s) // the connection is free again
	})

	t.Run("a nested transaction joins the outer one", func(t *testing.T) {
		p, q := personRecord(), personRecord()
		refused(t, s, errChanged, func(ctx context.Context) error {
			if err := s.InTx(ctx, func(ctx context.Context) error { return s.InsertPerson(ctx, p) }); err != nil {
				t.Error(err)
			}
			return errChanged
		})
		_, err := s.Person(ctx, p.ID)
		isError(t, err, storage.ErrNotFound)
		write(t, s, func(ctx context.Context) error {
			return s.InTx(ctx, func(ctx context.Context) error { return s.InsertPerson(ctx, q) })
		})
		must(s.Person(ctx, q.ID))(t)
	})

	t.Run("an outer function cannot commit what a nested one gave up", func(t *testing.T) {
		p := personRecord()
		refused(t, s, errChanged, func(ctx context.Context) error {
			s.InTx(ctx, func(ctx context.Context) error {
				s.InsertPerson(ctx, p)
				return errChanged
			})
			return nil
		})
		_, err := s.Person(ctx, p.ID)
		isError(t, err, storage.ErrNotFound)
	})

	t.Run("nothing can be written after a statement failed", func(t *testing.T) {
		p, q := seedPerson(t, s), personRecord()
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error {
			isError(t, s.InsertPerson(ctx, p), storage.ErrConflict)
			if err := s.InsertPerson(ctx, q); err == nil {
				t.Error("a write after a failed one was accepted")
			}
			return nil
		})
	})

	t.Run("AfterCommit runs in order after the commit and not after a rollback", func(t *testing.T) {
		var order []string
		p := personRecord()
		write(t, s, func(inside context.Context) error {
			s.AfterCommit(inside, func() {
				must(s.Person(ctx, p.ID))(t)
				order = append(order, "first")
			})
			s.InTx(inside, func(ctx context.Context) error {
				s.AfterCommit(ctx, func() { order = append(order, "second") })
				return nil
			})
			order = append(order, "fn")
			return s.InsertPerson(inside, p)
		})
		refused(t, s, errChanged, func(ctx context.Context) error {
			s.AfterCommit(ctx, func() { order = append(order, "never") })
			return errChanged
		})
		s.AfterCommit(ctx, func() { order = append(order, "at once") })
		same(t, order, []string{"fn", "first", "second", "at once"})
	})

	t.Run("a hook may begin a transaction, and a context that outlived its own carries none", func(t *testing.T) {
		var kept context.Context
		p := personRecord()
		write(t, s, func(inside context.Context) error {
			kept = inside
			s.AfterCommit(inside, func() {
				write(t, s, func(ctx context.Context) error { return s.InsertPerson(ctx, p) })
			})
			return nil
		})
		must(s.Person(kept, p.ID))(t)
		isError(t, s.InsertPerson(kept, personRecord()), storage.ErrNoTransaction)
	})

	t.Run("a transaction opened inside another with the outer context fails in bounded time", func(t *testing.T) {
		short := db.Open(t, Options{Wait: 300 * time.Millisecond})
		p := seedPerson(t, short)
		began := time.Now()
		err := short.InTx(ctx, func(inside context.Context) error {
			if err := short.UpdatePerson(inside, p); err != nil {
				return err
			}
			return short.InTx(ctx, func(ctx context.Context) error { return short.UpdatePerson(ctx, p) })
		})
		if err == nil || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConflict) {
			t.Errorf("got %v, want an error that is no refusal", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		seedPerson(t, short)
	})

	t.Run("a cancelled context ends the transaction without a trace", func(t *testing.T) {
		p := personRecord()
		cancelled, cancel := context.WithCancel(ctx)
		err := s.InTx(cancelled, func(ctx context.Context) error {
			if err := s.InsertPerson(ctx, p); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if err == nil {
			t.Error("committed after the context was cancelled")
		}
		_, err = s.Person(ctx, p.ID)
		isError(t, err, storage.ErrNotFound)
		seedPerson(t, s)
	})

	t.Run("many transactions at once all get their turn", func(t *testing.T) {
		nodes := append(db.two(t), s)
		if n := race(t, 60, nodes, func(ctx context.Context, s storage.Store) (bool, error) {
			return true, s.InsertPerson(ctx, personRecord())
		}); n != 60 {
			t.Errorf("%d of 60 committed", n)
		}
	})

	t.Run("transactions that fail among many take nothing of the others along", func(t *testing.T) {
		nodes := append(db.two(t), s)
		var wg sync.WaitGroup
		var mu sync.Mutex
		hooks := map[string]int{}
		people := make([]storage.Person, 90)
		for i := range people {
			people[i] = personRecord()
			wg.Go(func() {
				defer func() { _ = recover() }()
				node := nodes[i%len(nodes)]
				err := node.InTx(ctx, func(ctx context.Context) error {
					if err := node.InsertPerson(ctx, people[i]); err != nil {
						return err
					}
					node.AfterCommit(ctx, func() { mu.Lock(); defer mu.Unlock(); hooks[people[i].ID]++ })
					switch i % 5 {
					case 1:
						return errChanged
					case 2:
						panic("in the middle")
					case 3:
						return node.InsertPerson(ctx, people[i]) // refused: it exists
					}
					return nil
				})
				if good := i%5 == 0 || i%5 == 4; good != (err == nil) {
					t.Errorf("transaction %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for i, p := range people {
			_, err := s.Person(ctx, p.ID)
			if good := i%5 == 0 || i%5 == 4; good != (err == nil) || good != (hooks[p.ID] == 1) {
				t.Errorf("person %d: %v, %d hooks", i, err, hooks[p.ID])
			}
		}
	})

	t.Run("two transactions that wait for each other both succeed in the end", func(t *testing.T) {
		a, b := seedPerson(t, s), seedPerson(t, s)
		var wg sync.WaitGroup
		for _, order := range [][]storage.Person{{a, b}, {b, a}} {
			wg.Go(func() {
				write(t, s, func(ctx context.Context) error {
					if err := s.UpdatePerson(ctx, order[0]); err != nil {
						return err
					}
					pause(30 * time.Millisecond) // for the other to take its first row, where there is a second writer
					return s.UpdatePerson(ctx, order[1])
				})
			})
		}
		wg.Wait()
	})

	t.Run("statements and commits are observed, and reads do not commit", func(t *testing.T) {
		var ops []string
		seen := db.Open(t, Options{Observe: func(op string) { ops = append(ops, op) }})
		p := personRecord()
		write(t, seen, func(ctx context.Context) error { return seen.InsertPerson(ctx, p) })
		must(seen.Person(ctx, p.ID))(t)
		write(t, seen, func(ctx context.Context) error { return seen.GiveBack(ctx, noon, storage.Throttle{Key: "x"}) })
		same(t, ops, []string{"insert", "commit", "select", "update", "commit"})
	})

	t.Run("the database is alive and its clock is near ours", func(t *testing.T) {
		if err := s.Ping(ctx); err != nil {
			t.Error(err)
		}
		offset := must(s.ClockOffset(ctx, time.Now))(t)
		if offset.Abs() > time.Minute {
			t.Errorf("the database's clock is %s ahead", offset)
		}
	})

	testWritesNeedTransaction(t, s)
}

func pause(d time.Duration) { <-time.After(d) }

// testWritesNeedTransaction tries every write with a context that carries no transaction.
func testWritesNeedTransaction(t *testing.T, s storage.Store) {
	ctx := context.Background()
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }
	writes := map[string]func() error{
		"InsertPerson":       func() error { return s.InsertPerson(ctx, personRecord()) },
		"UpdatePerson":       func() error { return s.UpdatePerson(ctx, storage.Person{}) },
		"PutPassword":        func() error { return s.PutPassword(ctx, storage.PasswordFactor{}) },
		"ReplacePassword":    func() error { return second(s.ReplacePassword(ctx, "", storage.PasswordFactor{})) },
		"PutPhone":           func() error { return s.PutPhone(ctx, storage.PhoneFactor{}) },
		"CountPhoneFailure":  func() error { return third(s.CountPhoneFailure(ctx, "", 1, noon)) },
		"ClearPhoneFailures": func() error { return s.ClearPhoneFailures(ctx, "", noon) },
		"EnablePhone":        func() error { return s.EnablePhone(ctx, "") },
		"NoteNoWhatsApp":     func() error { return s.NoteNoWhatsApp(ctx, "", noon) },
		"InsertClient":       func() error { return s.InsertClient(ctx, storage.Client{}) },
		"UpdateClient":       func() error { return s.UpdateClient(ctx, storage.Client{}, noon) },
		"DeleteClient":       func() error { return s.DeleteClient(ctx, "") },
		"InsertAuthRequest":  func() error { return s.InsertAuthRequest(ctx, storage.AuthRequest{}) },
		"UpdateAuthRequest":  func() error { return s.UpdateAuthRequest(ctx, storage.AuthRequest{}) },
		"InsertSession":      func() error { return s.InsertSession(ctx, storage.Session{}) },
		"RenewSession":       func() error { return s.RenewSession(ctx, storage.Session{}) },
		"TouchSession":       func() error { return s.TouchSession(ctx, "", noon) },
		"EndSession":         func() error { return second(s.EndSession(ctx, "", "", noon)) },
		"EndSessionsOf":      func() error { return second(s.EndSessionsOf(ctx, "", "", noon)) },
		"InsertGrant":        func() error { return s.InsertGrant(ctx, storage.Grant{}) },
		"UseAuthCode":        func() error { return third(s.UseAuthCode(ctx, "x", "", noon)) },
		"InsertTokens":       func() error { return s.InsertTokens(ctx, storage.Token{}) },
		"UseRefreshToken":    func() error { _, _, _, err := s.UseRefreshToken(ctx, "", "", noon); return err },
		"RevokeToken":        func() error { return second(s.RevokeToken(ctx, "", noon)) },
		"RevokeGrant":        func() error { return second(s.RevokeGrant(ctx, "", "", noon)) },
		"RevokeGrantsOf":     func() error { return second(s.RevokeGrantsOf(ctx, "p", "", "", false, "", noon)) },
		"PutConsent":         func() error { return s.PutConsent(ctx, storage.Consent{}) },
		"DeleteConsent":      func() error { return second(s.DeleteConsent(ctx, "", "")) },
		"UseOnce":            func() error { return second(s.UseOnce(ctx, "", noon, noon)) },
		"InsertChallenge":    func() error { return s.InsertChallenge(ctx, storage.Challenge{}) },
		"CountTry":           func() error { return third(s.CountTry(ctx, "", noon)) },
		"EndChallenge":       func() error { return second(s.EndChallenge(ctx, "", storage.ChallengeExpired, noon)) },
		"EndChallengesOf":    func() error { return s.EndChallengesOf(ctx, "", storage.ChallengeExpired, noon) },
		"TakeFallback":       func() error { return second(s.TakeFallback(ctx, "", noon)) },
		"BarIdentity":        func() error { return s.BarIdentity(ctx, "") },
		"ScheduleChallenge":  func() error { return s.ScheduleChallenge(ctx, "", noon) },
		"ClaimDueChallenges": func() error { return second(s.ClaimDueChallenges(ctx, noon, noon, 1)) },
		"InsertDelivery":     func() error { return s.InsertDelivery(ctx, storage.Delivery{}) },
		"ClaimQueued":        func() error { return second(s.ClaimQueued(ctx, noon, noon, 1)) },
		"ClaimAbandoned":     func() error { return second(s.ClaimAbandoned(ctx, noon, 1)) },
		"UpdateDelivery":     func() error { return second(s.UpdateDelivery(ctx, storage.Delivery{}, storage.DeliverySent)) },
		"UpdateDeliveries":   func() error { return second(s.UpdateDeliveries(ctx, []storage.DeliveryMove{{}})) },
		"InsertReceipts":     func() error { return second(s.InsertReceipts(ctx, []storage.Receipt{{}})) },
		"BindIdentity":       func() error { return second(s.BindIdentity(ctx, "", []byte{1})) },
		"BarPhone":           func() error { return s.BarPhone(ctx, "", noon) },
		"ForgetIdentity":     func() error { return s.ForgetIdentity(ctx, "") },
		"NoteSMSRefused":     func() error { return s.NoteSMSRefused(ctx, "", "") },
		"AdvanceChallenges":  func() error { return s.AdvanceChallenges(ctx, map[string]time.Time{"": noon}) },
		"OpenCircuit":        func() error { return second(s.OpenCircuit(ctx, storage.Circuit{})) },
		"ProbeCircuit":       func() error { return second(s.ProbeCircuit(ctx, "", noon, noon)) },
		"CloseCircuit":       func() error { return second(s.CloseCircuit(ctx, "", true)) },
		"InsertNotice":       func() error { return s.InsertNotice(ctx, storage.Notice{}) },
		"ClaimNotices":       func() error { return second(s.ClaimNotices(ctx, noon, noon, 1)) },
		"SettleNotice":       func() error { return s.SettleNotice(ctx, storage.Notice{}) },
		"MoveCursor":         func() error { return second(s.MoveCursor(ctx, "", 0, 1)) },
		"AddDeliveryDays":    func() error { return s.AddDeliveryDays(ctx, storage.DeliveryDay{}) },
		"AddConversions":     func() error { return s.AddConversions(ctx, storage.Conversion{}) },
		"PutVerdict":         func() error { return s.PutVerdict(ctx, storage.Verdict{}) },
		"RemoveVerdict":      func() error { return second(s.RemoveVerdict(ctx, "", "")) },
		"PutRateCard":        func() error { return s.PutRateCard(ctx, storage.RateCard{}) },
		"RemoveRateCard":     func() error { return second(s.RemoveRateCard(ctx, "", "")) },
		"Take":               func() error { return second(s.Take(ctx, noon, storage.Throttle{Key: "k", Burst: 1})) },
		"GiveBack":           func() error { return s.GiveBack(ctx, noon, storage.Throttle{Key: "k"}) },
		"CountFailures":      func() error { return third(s.CountFailures(ctx, noon, storage.FailureBudget{Key: "k"})) },
		"UncountFailures":    func() error { return s.UncountFailures(ctx, "k") },
		"ClearFailures":      func() error { return second(s.ClearFailures(ctx, "k")) },
		"InsertSigningKey":   func() error { return s.InsertSigningKey(ctx, storage.SigningKey{}) },
		"MoveSigningKey": func() error {
			_, err := s.MoveSigningKey(ctx, "", storage.KeyNext, storage.KeyCurrent, noon)
			return err
		},
		"ClearFailuresUnder":    func() error { return second(s.ClearFailuresUnder(ctx, "x")) },
		"EndChallengesOfPerson": func() error { return s.EndChallengesOfPerson(ctx, "", storage.ChallengeCancelled, noon) },
		"LockChallenge": func() error {
			_, _, err := s.LockChallenge(ctx, "", noon)
			return err
		},
		"AppendEvents":     func() error { return s.AppendEvents(ctx, storage.Event{}) },
		"SealEvents":       func() error { return s.SealEvents(ctx, []storage.Event{{}}) },
		"InsertCheckpoint": func() error { return s.InsertCheckpoint(ctx, storage.Checkpoint{}) },
		"AcquireLease":     func() error { return second(s.AcquireLease(ctx, "", "", noon, noon)) },
		"ReleaseLease":     func() error { return s.ReleaseLease(ctx, "", "") },
		"UseRoot":          func() error { return second(s.UseRoot(ctx, "", noon)) },
		"RetireRoot":       func() error { return second(s.RetireRoot(ctx, "", noon)) },
		"KeepAuditKey":     func() error { return s.KeepAuditKey(ctx, "", nil) },
		"Reseal": func() error {
			return second(s.Reseal(ctx, storage.SealedClaims, "", storage.SealedRecord{}, storage.SealedRecord{}))
		},
		"PruneEvents": func() error { return second(s.PruneEvents(ctx, 1, 1)) },
		"RaiseEpoch":  func() error { return second(s.RaiseEpoch(ctx, 0, 1)) },
		"EndIssued":   func() error { return third(s.EndIssued(ctx, storage.IssuedGrants, "", noon, 1)) },
		"ErasePerson": func() error { return s.ErasePerson(ctx, "") },
		"Sweep":       func() error { return second(s.Sweep(ctx, storage.SweepTokens, noon, 1)) },
	}
	t.Run("every write without a transaction fails at once", func(t *testing.T) {
		for name, call := range writes {
			if err := call(); !errors.Is(err, storage.ErrNoTransaction) {
				t.Errorf("%s: got %v, want ErrNoTransaction", name, err)
			}
		}
	})
}

// testText sends what a browser or a client may send, and what PostgreSQL cannot store, through a key and a field.
func testText(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	for i, text := range []string{"nul\x00byte", "bad \xff\xfe utf-8", "emoji 📱 and ' quote", strings.Repeat("long", 2000)} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, err := s.AuthRequest(ctx, text)
			isError(t, err, storage.ErrNotFound)
			x := sessionRecord(seedPerson(t, s).ID)
			x.UserAgent = text
			write(t, s, func(ctx context.Context) error { return s.InsertSession(ctx, x) })
			got := must(s.Session(ctx, x.ID))(t)
			if want := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"); got.UserAgent != want {
				t.Errorf("stored %q, want %q", got.UserAgent, want)
			}
		})
	}
}

package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parola-id/parola/storage"
)

// Run holds a backend to the contract of package storage, one noun after the other, with no opt-outs. fresh returns a
// new database each time.
func Run(t *testing.T, fresh func(t testing.TB) Database) {
	for _, noun := range []struct {
		name string
		test func(t *testing.T, db Database)
	}{
		{"transactions", testTransactions},
		{"persons", testPersons},
		{"phones", testPhones},
		{"clients", testClients},
		{"auth requests", testAuthRequests},
		{"sessions", testSessions},
		{"grants", testGrants},
		{"tokens", testTokens},
		{"consents", testConsents},
		{"assertions", testAssertions},
		{"challenges", testChallenges},
		{"deliveries", testDeliveries},
		{"throttles", testThrottles},
		{"failures", testFailures},
		{"signing keys", testSigningKeys},
		{"root generations", testRootGenerations},
		{"reseals", testReseals},
		{"events", testEvents},
		{"leases", testLeases},
		{"wake-ups", testWakeups},
		{"batches", testBatches},
		{"circuits", testCircuits},
		{"notices", testNotices},
		{"ledger", testLedger},
		{"verdicts", testVerdicts},
		{"rate cards", testRateCards},
		{"sweeps", testSweeps},
		{"pruning", testPruning},
		{"epochs", testEpochs},
		{"subjects", testSubjects},
		{"text from outside", testText},
	} {
		t.Run(noun.name, func(t *testing.T) { noun.test(t, fresh(t)) })
	}
}

// noon is the present of the contract. It has milliseconds, to see them kept.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 123e6, time.UTC)

// write runs fn in a transaction that must commit.
func write(t testing.TB, s storage.Store, fn func(ctx context.Context) error) {
	t.Helper()
	if err := s.InTx(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// refused runs fn in a transaction that must fail with want.
func refused(t testing.TB, s storage.Store, want error, fn func(ctx context.Context) error) {
	t.Helper()
	if err := s.InTx(context.Background(), fn); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// same compares records; nil and empty are the same to storage.
func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func isError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// race runs fn n times at once, each in a transaction of its own on one of the nodes, and returns how many of them won.
func race(t testing.TB, n int, nodes []storage.Store, fn func(ctx context.Context, s storage.Store) (bool, error)) int {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	wins := 0
	for i := range n {
		s := nodes[i%len(nodes)]
		wg.Go(func() {
			<-start
			var won bool
			err := s.InTx(context.Background(), func(ctx context.Context) (err error) {
				won, err = fn(ctx, s)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if won {
				wins++
			}
		})
	}
	close(start)
	wg.Wait()
	return wins
}

// two opens two nodes that are patient: when dozens want the one writer of a busy machine, the last waits long.
func (db Database) two(t testing.TB) []storage.Store {
	return []storage.Store{db.Open(t, Options{Wait: time.Minute}), db.Open(t, Options{Wait: time.Minute})}
}

package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// reopen is the command line, or a node that starts, on the database of b with other root secrets.
func reopen(t testing.TB, b *Base, now clock.Clock, s Secrets) (*Base, error) {
	t.Helper()
	c := b.config
	c.Secrets = s
	other, err := Open(t.Context(), c, Options{Release: "test", Clock: now})
	if err == nil {
		t.Cleanup(func() { other.Close() })
	}
	return other, err
}

// saying is a server of which only the worker runs that says so.
func saying(t testing.TB, b *Base) *App {
	t.Helper()
	a := &App{Base: b}
	if err := a.sayRootsOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func refusedWith(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !isRefusal(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want a refusal with %q", err, want)
	}
}

func TestKEY06_ANodeStartsOnlyWhenAllCanReadWhatItMakes(t *testing.T) {
	b, now := openBase(t)
	one, two := b.config.Secrets.Root, NewSecret(freshSecret(32))
	node := saying(t, b)
	_, err := reopen(t, b, now, Secrets{Root: two, Previous: one})
	refusedWith(t, err, "the running node "+b.node+" could not read")
	_, err = reopen(t, b, now, Secrets{Root: two})
	refusedWith(t, err, "set it as secrets.previous")

	// Restarted with the new one readable, it does not stand in the way.
	node.sayGone()
	readable, err := reopen(t, b, now, Secrets{Root: one, Next: two})
	if err != nil {
		t.Fatal(err)
	}
	saying(t, readable)
	changed, err := reopen(t, b, now, Secrets{Root: two, Previous: one})
	if err != nil {
		t.Fatal(err)
	}
	if told := kindsOf(t, changed, "key.root."); !slices.Equal(told, []string{audit.RootActivated}) {
		t.Errorf("events %v", told)
	}

	// A node that was out of sight meanwhile stops before it refuses what it cannot know.
	refusedWith(t, node.sayRootsOnce(t.Context()), "is not configured")
	_, err = reopen(t, b, now, Secrets{Root: one})
	refusedWith(t, err, "as secrets.next")
}

func TestKEY06_ANodeThatDiedCountsForAMinuteAtMost(t *testing.T) {
	b, now := openBase(t)
	saying(t, b)
	now.Advance(nodeLife)
	if _, err := reopen(t, b, now, Secrets{Root: NewSecret(freshSecret(32)), Previous: b.config.Secrets.Root}); err != nil {
		t.Errorf("a dead node stands in the way: %v", err)
	}
}

func kindsOf(t testing.TB, b *Base, prefix string) (list []string) {
	t.Helper()
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{Kind: prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		list = append(list, e.Kind)
	}
	return list
}

func TestKEY06_ResealingPassesOverWhatIsDamagedAndWhatChangedMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, b *Base) {
		one, two := b.config.Secrets.Root, NewSecret(freshSecret(32))
		ada := addAda(t, b)
		eve, err := b.AddUser(t.Context(), NewUser{Username: "eve", Password: "correct horse battery", Phone: "+39 347 123 4568", PhoneVerified: true})
		if err != nil {
			t.Fatal(err)
		}
		hers, err := b.store.PhoneOf(t.Context(), ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		write := func(fn func(ctx context.Context) error) {
			t.Helper()
			if err := b.store.InTx(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		// Somebody with the database alone has put ada's number into eve's record.
		moved, err := b.store.PhoneOf(t.Context(), eve.ID)
		if err != nil {
			t.Fatal(err)
		}
		moved.Sealed = hers.Sealed
		write(func(ctx context.Context) error { return b.store.PutPhone(ctx, moved) })

		later, err := reopen(t, b, b.clock, Secrets{Root: two, Previous: one})
		if err != nil {
			t.Fatal(err)
		}
		// While it reads, a server renews ada's password.
		factor, err := later.hasher.Hash(t.Context(), ada.ID, "another horse battery")
		if err != nil {
			t.Fatal(err)
		}
		write(func(ctx context.Context) error { return b.store.PutPassword(ctx, factor) })
		done, err := later.ResealSecrets(t.Context())
		if err != nil || !slices.Equal(done.Damaged, []string{"phones " + moved.ID}) || done.Counts["phones"] != 1 || done.Counts["passwords"] != 1 || done.Counts["claims"] != 1 {
			t.Fatalf("resealed %+v, %v", done, err)
		}
		stored, err := b.store.PhoneOf(t.Context(), ada.ID)
		if err != nil || stored.Hash == hers.Hash || !stored.CreatedAt.Equal(hers.CreatedAt) {
			t.Errorf("the phone is %+v, %v", stored, err)
		}
		if number, err := later.RevealPhone(t.Context(), "ada", "a test"); err != nil || number != "+393471234567" {
			t.Errorf("the number is %s, %v", number, err)
		}
		if result, err := later.hasher.Check(t.Context(), factor, "another horse battery", true); err != nil || !result.OK {
			t.Errorf("the new password: %v, %v", result.OK, err)
		}
		_, err = later.RetireRoot(t.Context(), b.keys.ID(), "", false)
		refusedWith(t, err, "1 phones")
	})
}

func TestKEY01_KEY06_NothingOfTheDatabaseOpensWithAnotherRoot(t *testing.T) {
	b, _ := openBase(t)
	addAda(t, b)
	stranger := complete()
	stranger.Database = b.config.Database
	_, err := Open(t.Context(), stranger, Options{})
	refusedWith(t, err, "the configuration of another installation")
	// Not even when the database is told that it may.
	other, err := Open(t.Context(), stranger, Options{AnyRoot: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.RevealPhone(t.Context(), "ada", "a test"); err == nil {
		t.Error("a number was opened with the root secret of another installation")
	}
}

func TestKEY06_TheSameNumberUnderANewRootSignsNobodyOut(t *testing.T) {
	b, now := openBase(t)
	ada := addAda(t, b)
	err := b.store.InTx(t.Context(), func(ctx context.Context) error {
		return b.store.InsertSession(ctx, storage.Session{ID: "s", TokenHash: "h", PersonID: ada.ID, CreatedAt: epoch, ExpiresAt: epoch.Add(time.Hour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	later, err := reopen(t, b, now, Secrets{Root: NewSecret(freshSecret(32)), Previous: b.config.Secrets.Root})
	if err != nil {
		t.Fatal(err)
	}
	if _, ended, err := later.SetPhone(t.Context(), "ada", "+393471234567", true); err != nil || ended != (Ended{}) {
		t.Errorf("the same number: ended %+v, %v", ended, err)
	}
	if _, ended, err := later.SetPhone(t.Context(), "ada", "+393471234568", true); err != nil || ended.Sessions != 1 {
		t.Errorf("another number: ended %+v, %v", ended, err)
	}
}

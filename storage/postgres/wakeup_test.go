package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestABrokenEarIsReplaced ends the connection that hears, as a restart of the server does.
func TestABrokenEarIsReplaced(t *testing.T) {
	dsn := storagetest.PostgresDSN(t)
	open := func() *postgres.Store {
		s, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn, Connections: 2})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	listener, speaker := open(), open()
	heard := make(chan storage.Wakeup, 100)
	listener.Listen(func(w storage.Wakeup) { heard <- w })
	next := func(what string) storage.Wakeup {
		t.Helper()
		select {
		case w := <-heard:
			return w
		case <-time.After(10 * time.Second):
			t.Fatalf("not heard: %s", what)
			return storage.Wakeup{}
		}
	}
	about := storage.Wakeup{Topic: storage.ChallengeChanged, Subject: "one"}
	for _, round := range []string{"at the start", "after the connection broke"} {
		if w := next("that anything may have been missed " + round); w.Topic != storage.Anything {
			t.Fatalf("%s the first thing heard is %v", round, w)
		}
		speaker.Wake(context.Background(), about)
		if w := next("a wake-up " + round); w != about {
			t.Errorf("%s %v was heard", round, w)
		}
		storagetest.ExecPostgres(t, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = 'parola wake-ups' AND datname = current_database()`)
	}
}

// TestStrangersTextsWakeNobody sends what no node sends.
func TestStrangersTextsWakeNobody(t *testing.T) {
	dsn := storagetest.PostgresDSN(t)
	s, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn, Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	heard := make(chan storage.Wakeup, 100)
	s.Listen(func(w storage.Wakeup) { heard <- w })
	<-heard // that anything may have been missed
	for _, text := range []string{"", "{", "[]", `{"wake":[["challenge"]]}`, `{"wake":"x"}`} {
		storagetest.ExecPostgres(t, dsn, `SELECT pg_notify('parola_wakeups', $1)`, text)
	}
	storagetest.ExecPostgres(t, dsn, `SELECT pg_notify('parola_wakeups', '{"from":"another","wake":[["circuits",""]]}')`)
	for {
		select {
		case w := <-heard:
			if w.Topic == storage.CircuitsChanged {
				return
			}
			if w != (storage.Wakeup{Topic: storage.ChallengeChanged}) { // a subject that is missing is an empty one
				t.Errorf("heard %v", w)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("what a node could have sent is not heard after what none sends")
		}
	}
}

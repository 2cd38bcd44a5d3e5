package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/e2e/turn"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestMain lets this program be the server that it measures.
func TestMain(m *testing.M) {
	rig.Child()
	if err := turn.Shared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func started(t *testing.T, database, dsn string, people int) *ownTarget {
	t.Helper()
	o, err := install(t.Context(), database, dsn, nil, people)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	server, err := o.in.StartServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.server, o.nodes = server, []int{server.PID()}
	return o
}

// TestEveryOperationOfTheTableIsDone does each operation a few times; what an operation expects of its answer is part of it.
func TestEveryOperationOfTheTableIsDone(t *testing.T) {
	o := started(t, "sqlite", "", 2)
	for _, op := range operations() {
		work, err := prepareAll(t.Context(), &o.target, op, 2, 2)
		if err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		l := drive(t.Context(), work, 0, 2)
		if len(l.times) != 4 || len(l.errs) > 0 {
			t.Errorf("%s was done %d times: %v", op.name, len(l.times), l.errs)
		}
	}
	if err := o.carrier.failure(); err != nil {
		t.Error(err)
	}
}

// TestAServerThatRunsAlreadyIsMeasured goes the whole way of the command, with a server that it was only told of.
func TestAServerThatRunsAlreadyIsMeasured(t *testing.T) {
	o := started(t, "sqlite", "", 0)
	var prepared bytes.Buffer
	if err := prepare(t.Context(), options{shape: shape{workers: 2}, config: filepath.Join(o.in.Dir, "parola.yaml")}, &prepared); err != nil {
		t.Fatal(err)
	}
	var s setup
	if err := json.Unmarshal(prepared.Bytes(), &s); err != nil || len(s.People) != 2 || s.Carrier.PhoneNumberID != o.in.Secrets.PhoneNumberID {
		t.Fatalf("prepared %s: %v", prepared.Bytes(), err)
	}
	s.Carrier = nil // the installation's own has the port
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "load.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	given, err := flags([]string{"--url", o.issuer, "--pid", fmt.Sprint(o.nodes[0]), "--setup", file, "--seconds", "1", "--workers", "2", "--json",
		"--only", "client_credentials,userinfo"})
	if err != nil {
		t.Fatal(err)
	}
	given.later = 100 * time.Millisecond
	var out bytes.Buffer
	if err := measured(t.Context(), given, &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Figures) != 1 { // without a carrier nobody can sign in, so there is no userinfo
		t.Fatalf("measured %+v", r.Figures)
	}
	f := r.Figures[0]
	if f.Operation != "client_credentials" || f.N == 0 || f.CPU <= 0 || f.P99 < f.P50 || f.Peak <= 0 || f.Limit != 0.35 || f.Errors != 0 {
		t.Errorf("measured %+v", f)
	}
}

// TestGrownDatabasesStillServe seeds databases as growth does and signs in there: a column that the rows lack, or an index
// that was not made again, shows here.
func TestGrownDatabasesStillServe(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel() // each waits for its ledger
			dsn := ""
			if database == "postgres" {
				dsn = storagetest.EmptyPostgresDSN(t)
			}
			o := started(t, database, dsn, 1)
			if err := o.stop(); err != nil {
				t.Fatal(err)
			}
			source := dsn
			if database == "sqlite" {
				source = o.in.Config().Database.Path
			}
			sizes := []size{{}, {Users: 100, Events: 1000, Sessions: 10}, {Users: 300, Events: 3000, Sessions: 30}}
			before := indexes(t, database, source)
			for i := range sizes[1:] {
				if err := grow(t.Context(), database, source, sizes[i], sizes[i+1]); err != nil {
					t.Fatal(err)
				}
			}
			if after := indexes(t, database, source); after != before || !strings.Contains(before, "events_sequence") {
				t.Errorf("the indexes of events are\n%s\nand were\n%s", after, before)
			}
			server, err := o.in.StartServer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			o.server, o.nodes = server, []int{server.PID()}
			work, err := prepareAll(t.Context(), &o.target, operation{prepare: prepareRefresh}, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if l := drive(t.Context(), work, 0, 3); len(l.errs) > 0 {
				t.Error(l.errs)
			}
			if err := o.quiet(t.Context()); err != nil { // the chain and the ledger go on after what was seeded
				t.Error(err)
			}
		})
	}
}

func indexes(t *testing.T, database, source string) string {
	t.Helper()
	s, err := openSeeder(database, source)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	list, err := s.indexes(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(list)
}

func TestProcessorTimeIsThatOfAProcessAndOfItsChildren(t *testing.T) {
	own := []int{os.Getpid()}
	read := func() (time.Duration, time.Duration) {
		seen, err := cpu(own)
		if err != nil {
			t.Fatal(err)
		}
		us, err := ownTime()
		if err != nil {
			t.Fatal(err)
		}
		return seen, us
	}
	seen, us := read()
	for until := us + 100*time.Millisecond; us < until; {
		us, _ = ownTime()
	}
	after, _ := read()
	if took := after - seen; took < 80*time.Millisecond {
		t.Errorf("100 ms of work are seen as %s", took)
	}
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	buried, _ := read()
	if took, want := buried-after, child.ProcessState.UserTime()+child.ProcessState.SystemTime(); took < want-2*tick {
		t.Errorf("a child that ended took %s, of which %s are seen", want, took)
	}
	if _, err := cpu(nil); err == nil {
		t.Error("no process was measured")
	}
}

func TestALapIsOfWhatSucceeded(t *testing.T) {
	n := 0
	l := drive(context.Background(), []func(context.Context) error{func(context.Context) error {
		if n++; n%2 == 0 {
			return os.ErrInvalid
		}
		return nil
	}}, 0, 9)
	if len(l.times) != 5 || len(l.errs) != 4 {
		t.Errorf("%d times, %d errors", len(l.times), len(l.errs))
	}
	always := func(context.Context) error { return os.ErrInvalid }
	if l := drive(context.Background(), []func(context.Context) error{always}, time.Hour, 0); len(l.errs) != mostErrors {
		t.Errorf("%d errors of a server that fails at everything", len(l.errs))
	}
	hundred := lap{}
	for i := range 100 {
		hundred.times = append(hundred.times, time.Duration(i+1))
	}
	if hundred.at(0.5) != 51 || hundred.at(0.99) != 100 || (lap{}).at(0.5) != 0 {
		t.Errorf("p50 %d, p99 %d", hundred.at(0.5), hundred.at(0.99))
	}
}

func TestTheLimitLeavesOutTheHashOfALogin(t *testing.T) {
	less := 3.9
	f := figure{CPU: 40, Less: &less, Limit: 4, Operation: "login", Database: "sqlite"}
	r := report{Figures: []figure{f}, States: []state{{Name: "idle memory", Value: 36, Limit: 35}}}
	if f.over() || !r.States[0].over() {
		t.Error("judged wrongly")
	}
	if r.verdict(false) != nil || r.verdict(true) == nil {
		t.Error("a limit is held to with --check, and only then")
	}
	r.Figures[0].Errors = 1
	if r.verdict(false) == nil {
		t.Error("a failed operation is no failure")
	}
}

func TestFlagsThatWouldMeasureSomethingElseAreRefused(t *testing.T) {
	for _, args := range []string{"--only nothing", "--db mysql", "--workers 0", "--dsn postgres://x", "--url http://x", "--url http://x --setup f",
		"--pid 1", "--url http://x --setup f --pid 1 --profile d"} {
		if _, err := flags(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

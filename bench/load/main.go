// Load drives a running server over HTTP on this machine and tells what each operation costs it:
//
//	go run ./bench/load                              # everything, on SQLite and on PostgreSQL
//	go run ./bench/load --db sqlite --only refresh   # one operation on one database
//	go run ./bench/load growth                       # what many rows change
//
// and a server that runs already, which was configured to be measured: its whatsapp.base_url is this program, limits are high:
//
//	go run ./bench/load prepare --config parola.yaml > load.json
//	go run ./bench/load --url https://… --pid 71,72 --postmaster 60 --setup load.json
//
// Each worker has one operation in progress at any time. The figure that the rest of the machine touches least is the
// processor time per operation of all server processes, those of PostgreSQL among them, and with what the server does
// later on account of an operation: sealing its events, counting its message. The yardsticks beside it say what the parts
// cost that no provider can do for less.
//
// The exit status is 1 when an operation failed, and with --check when a limit of docs/performance.md is exceeded.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/storage/storagetest"
)

type options struct {
	shape
	database, dsn, only string
	profiles            string // a directory
	asJSON, check       bool
	url, setup, config  string
	// later is how long a server whose database we do not see is given for what it does later.
	later             time.Duration
	nodes, postmaster []int
	// users is how many a database grows to.
	users int64
}

// parts are what --only may name besides the operations.
var parts = []string{"yardsticks", "start", "storm"}

func main() {
	rig.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run, args := measured, os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "growth":
			run, args = growth, args[1:]
		case "prepare":
			run, args = prepare, args[1:]
		}
	}
	o, err := flags(args)
	if err == nil {
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "load:", err)
		}
		os.Exit(1)
	}
}

func flags(args []string) (options, error) {
	o := options{later: laterWork}
	set := flag.NewFlagSet("load", flag.ContinueOnError)
	set.StringVar(&o.database, "db", "", "sqlite or postgres; both when empty")
	set.StringVar(&o.dsn, "dsn", "", "PostgreSQL database `URL`, empty of Parola's tables, instead of a private server; with --postmaster")
	set.StringVar(&o.only, "only", "", "measure only these, by comma: "+strings.Join(append(names(), parts...), ", "))
	set.IntVar(&o.workers, "workers", 16, "operations in progress at a time")
	set.IntVar(&o.seconds, "seconds", 10, "how long each is measured")
	set.StringVar(&o.profiles, "profile", "", "write the server's CPU profile of each operation into this `directory`")
	set.Int64Var(&o.users, "users", 1_000_000, "how many people growth ends with, who have ten events each")
	set.BoolVar(&o.asJSON, "json", false, "report in JSON")
	set.BoolVar(&o.check, "check", false, "exit with 1 when a limit is exceeded")
	set.StringVar(&o.url, "url", "", "issuer `URL` of a server that runs already; with --pid and --setup")
	set.StringVar(&o.setup, "setup", "", "`file` with the client and people of that server, which prepare writes")
	set.StringVar(&o.config, "config", "parola.yaml", "configuration `file` of that server, for prepare")
	set.Func("pid", "process `ids` of the nodes of a server that runs already, by comma", processes(&o.nodes))
	set.Func("postmaster", "process `id` of PostgreSQL, whose work counts too", processes(&o.postmaster))
	if err := set.Parse(args); err != nil {
		return o, err
	}
	return o, o.valid()
}

// processes reads process ids.
func processes(into *[]int) func(string) error {
	return func(list string) error {
		for one := range strings.SplitSeq(list, ",") {
			pid, err := strconv.Atoi(one)
			if err != nil {
				return err
			}
			*into = append(*into, pid)
		}
		return nil
	}
}

func (o options) valid() error {
	for _, name := range o.names() {
		if !slices.Contains(append(names(), parts...), name) {
			return fmt.Errorf("--only: there is no %q", name)
		}
	}
	switch {
	case o.workers < 1 || o.seconds < 1:
		return errors.New("--workers and --seconds are at least 1")
	case o.database != "" && o.database != "sqlite" && o.database != "postgres":
		return errors.New("--db is sqlite or postgres")
	case o.dsn != "" && len(o.postmaster) == 0:
		return errors.New("--dsn needs --postmaster: what PostgreSQL does counts too")
	case (o.url != "") != (o.setup != "") || (o.url != "") != (len(o.nodes) > 0):
		return errors.New("a server that runs already needs --url, --setup and --pid")
	case o.url != "" && o.profiles != "":
		return errors.New("--profile is for a server that is started here")
	}
	return nil
}

// names are the operations by name.
func names() []string {
	var all []string
	for _, o := range operations() {
		all = append(all, o.name)
	}
	return all
}

func (o options) names() []string {
	if o.only == "" {
		return nil
	}
	return strings.Split(o.only, ",")
}

func (o options) wants(name string) bool { return o.only == "" || slices.Contains(o.names(), name) }

// measured measures what was asked for and reports it.
func measured(ctx context.Context, o options, out io.Writer) error {
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o700); err != nil {
			return err
		}
	}
	r := report{Machine: machine(os.TempDir())}
	var err error
	if o.url != "" {
		err = r.running(ctx, o)
	} else {
		err = r.own(ctx, o)
	}
	// What was measured before a failure is told all the same.
	return errors.Join(err, r.write(out, o.asJSON), r.verdict(o.check))
}

// own measures servers that are started here.
func (r *report) own(ctx context.Context, o options) error {
	databases := []string{"sqlite", "postgres"}
	if o.database != "" {
		databases = []string{o.database}
	}
	var cluster *storagetest.Cluster
	if o.dsn == "" && (slices.Contains(databases, "postgres") || o.wants("yardsticks")) {
		var err error
		if cluster, err = storagetest.StartCluster(durable...); err != nil {
			return fmt.Errorf("start PostgreSQL: %w", err)
		}
		defer cluster.Close()
		pid, err := cluster.PID()
		if err != nil {
			return err
		}
		o.postmaster = []int{pid}
	}
	if o.wants("yardsticks") {
		if err := r.yardsticks(ctx, cluster, o.postmaster); err != nil {
			return err
		}
	}
	for _, database := range databases {
		dsn, others := "", []int(nil)
		if database == "postgres" {
			dsn, others = o.dsn, o.postmaster
		}
		if dsn == "" && database == "postgres" {
			var err error
			if dsn, err = cluster.CreateDatabase(ctx, "parola_load"); err != nil {
				return err
			}
		}
		if err := r.database(ctx, o, database, dsn, others); err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

// durable is how the private PostgreSQL differs from its default: in memory and connections alone. What it has
// acknowledged survives a power cut.
var durable = []string{"shared_buffers=256MB", "max_connections=100", "max_wal_size=4GB"}

// database measures a server on one database.
func (r *report) database(ctx context.Context, o options, database, dsn string, others []int) error {
	t, err := install(ctx, database, dsn, others, max(atOnce, o.workers))
	if err != nil {
		return err
	}
	defer t.close()
	if o.wants("start") {
		states, err := starting(ctx, t)
		if err != nil {
			return err
		}
		r.States = append(r.States, states...)
	} else if _, err := t.start(ctx); err != nil {
		return err
	}
	if err := r.operations(ctx, o, &t.target, database); err != nil {
		return fmt.Errorf("%w\n%s", err, t.in.LogTail(5))
	}
	if o.wants("storm") {
		states, err := storm(ctx, &t.target, database, o.seconds)
		if err != nil {
			return fmt.Errorf("storm: %w\n%s", err, t.in.LogTail(5))
		}
		r.States = append(r.States, states...)
	}
	return t.stop()
}

// operations measures every wanted one that the target can do.
func (r *report) operations(ctx context.Context, o options, t *target, database string) error {
	for _, op := range operations() {
		if !o.wants(op.name) || op.needsPasscode && t.carrier == nil {
			continue
		}
		s := o.shape
		if o.profiles != "" {
			s.profile = filepath.Join(o.profiles, database+"-"+op.name+".pprof")
		}
		f, err := measure(ctx, t, op, s)
		if err != nil {
			return err
		}
		f.Database, f.Limit = database, op.limits[database]
		r.Figures = append(r.Figures, f)
	}
	return nil
}

// running measures a server that somebody else has started.
func (r *report) running(ctx context.Context, o options) error {
	t, database, err := setUp(o)
	if err != nil {
		return err
	}
	defer t.close()
	if o.wants("yardsticks") {
		if err := r.yardsticks(ctx, nil, nil); err != nil {
			return err
		}
	}
	return r.operations(ctx, o, &t.target, database)
}

package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage/postgres"
	"github.com/parola-id/parola/storage/sqlite"
)

// Options are what a program says beside the configuration.
type Options struct {
	// Release is the version that events, metrics and `parola version` tell.
	Release string
	Log     *slog.Logger
	// Clock is the system's when nil.
	Clock clock.Clock
	// Observe hears of SQL statements and commits; for tests that count them.
	Observe func(op string)
	// AnyRoot opens a database that needs a root secret which is not configured: for the commands that tell which.
	AnyRoot bool
}

// Base is what both the server and the command line stand on: an open database, the keys and the audit log.
type Base struct {
	config   Config
	store    *sqlite.Store // the same type for both databases
	keys     *secret.Keys
	clock    clock.Clock
	audit    *audit.Writer
	throttle *throttle.Throttle
	hasher   *password.Hasher
	judge    *password.Judge
	node     string
	release  string
	log      *slog.Logger
	// oldAuditKeys verify what was signed under root secrets that are gone.
	oldAuditKeys []ed25519.PublicKey
}

// Open checks the configuration and opens the database. The schema must be one that this release serves, or is brought
// there when database.migrate is set.
func Open(ctx context.Context, c Config, o Options) (*Base, error) {
	b, err := open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	if c.Database.Migrate {
		_, err = b.store.Migrate(ctx)
	}
	if err == nil {
		err = b.store.CheckSchema(ctx) // of a newer release too
	}
	if err == nil && !o.AnyRoot {
		err = b.checkRoots(ctx)
	}
	if err == nil {
		err = b.checkEpoch(ctx)
	}
	if err != nil {
		b.store.Close()
		return nil, err
	}
	return b, nil
}

// open is Open without a look at the schema, for the command that migrates it.
func open(ctx context.Context, c Config, o Options) (*Base, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = slog.New(inContext{o.Log.Handler()})
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	store, err := c.openStore(ctx, o)
	if err != nil {
		return nil, err
	}
	b := &Base{config: c, store: store, keys: keys, clock: o.Clock, release: o.Release, log: o.Log, node: nodeName(),
		throttle: throttle.New(c.Limits, keys), judge: password.NewJudge()}
	b.audit = audit.NewWriter(audit.Config{Events: store, Clock: b.clock, Node: b.node, Release: b.release})
	hashing := password.Config{Keys: keys, Clock: b.clock, Memory: int64(c.Password.MemoryMiB) << 20, Queue: c.Password.Queue}
	if !operatorTendsMemory() {
		hashing.Collect = collectHashes
	}
	b.hasher = password.New(hashing)
	return b, nil
}

func (c Config) openStore(ctx context.Context, o Options) (*sqlite.Store, error) {
	d := c.Database
	if d.Driver == "postgres" {
		return postgres.Open(ctx, postgres.Config{DSN: d.DSN.Reveal(), Connections: d.MaxConnections, Observe: o.Observe, Log: o.Log})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: d.Path, Synchronous: d.Synchronous, Observe: o.Observe})
}

// nodeName tells the nodes of one database apart in events and leases. Containers may share the name of the host and the
// number of the process, and begin in the same moment.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

// Close closes the database.
func (b *Base) Close() error { return b.store.Close() }

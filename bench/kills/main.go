// Kills ends the server with SIGKILL at instants that nobody chose, over and over, while people sign in, exchange their
// AuthCodes and refresh their tokens. After each kill bench/check holds the database, the audit log, what the carriers saw
// and what people and clients were told against what must be true at every instant; in the end, against everything.
//
//	go run ./bench/kills --kills 200 --seed 1
//
// With --dsn the database is PostgreSQL, which must be empty, and of two nodes behind a balancer one is killed at a time.
// It exits with 0 when every invariant held, with 1 when one is broken, with 2 when it could not run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/app"
)

type options struct {
	kills, workers int
	seed           uint64
	dsn            string
}

const (
	// passcodeLife is short, so that the end of the run is not long in coming.
	passcodeLife = 30 * time.Second
	// lateness is how far the last deadline lies behind the end of a run.
	lateness = passcodeLife + 20*time.Second
	clientID = "kills"
)

func main() {
	rig.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.IntVar(&o.kills, "kills", 200, "how often a server is killed")
	flag.IntVar(&o.workers, "workers", 24, "people who sign in at the same time")
	flag.Uint64Var(&o.seed, "seed", 1, "chooses the instants, and what people do")
	flag.StringVar(&o.dsn, "dsn", "", "PostgreSQL database `URL` instead of a new SQLite file; two nodes then")
	flag.Parse()
	figures, found, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kills:", err)
		os.Exit(2)
	}
	if !check.Report(os.Stdout, figures, found) {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (figures map[string]int, found []check.Finding, err error) {
	in, err := rig.Install(ctx, rig.Options{
		DSN: o.dsn, People: o.workers, TemplateTTL: time.Second, NotEntered: 8 * time.Second, PasscodeLife: passcodeLife,
		CallTimeout: time.Second, DeliverAfter: 10 * time.Millisecond,
	})
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	if err := addClient(ctx, in); err != nil {
		return nil, nil, err
	}
	n := 1
	if o.dsn != "" {
		n = 2
	}
	nodes, end, err := in.Nodes(n)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	k := &killer{in: in, nodes: nodes, options: o, out: out, witness: check.NewWitness(), heads: map[int64][]byte{}}
	defer k.killAll()
	if figures, found, err = k.run(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, in.LogTail(5))
	}
	return figures, found, nil
}

// addClient adds a client with refresh tokens.
func addClient(ctx context.Context, in *rig.Installation) error {
	b, err := in.OpenBase(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	client := fmt.Sprintf(`{"client_id":%q,"redirect_uris":[%q],"token_endpoint_auth_method":"none","parola_first_party":true,
		"grant_types":["authorization_code","refresh_token"],"scope":"openid offline_access","id_token_signed_response_alg":"ES256"}`,
		clientID, rig.RedirectURI)
	report, err := b.ImportClients(ctx, []byte(client), app.ImportOptions{})
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(report.Entries, func(e app.ImportEntry) bool { return e.Result == app.ImportRefused }); i >= 0 {
		return fmt.Errorf("add client: %s", report.Entries[i].Reason)
	}
	return nil
}

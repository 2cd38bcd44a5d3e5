// The demo is Parola's main job on one machine with nothing installed but Go: the provider on a new SQLite file, an
// application that delegates its login, a resource server, and a phone on the screen that speaks the carriers' wire.
//
//	go run ./examples/demo
//
// The provider does not know that this is a demo: it is configured with base URLs, like any other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "demo:", err)
			os.Exit(1)
		}
		os.Exit(2)
	}
}

// options are the flags.
type options struct {
	json          bool
	portBase      int
	data          string
	config        string
	importClients string
	importUsers   string
	verbose       bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.json, "json", false, "print one JSON object on the first line instead of a greeting, once every socket listens")
	f.IntVar(&o.portBase, "port-base", 8080, "`port` of the provider; the application and the phone take the next two")
	f.StringVar(&o.data, "data", "", "keep the data in this `directory`; without it they are gone at the end")
	f.StringVar(&o.config, "config", "", "YAML `file` of Parola's configuration, laid over the demo's")
	f.StringVar(&o.importClients, "import-clients", "", "JSON `file` of clients to add: an array of RFC 7591 metadata, as for `parola client import`")
	f.StringVar(&o.importUsers, "import-users", "", "JSON `file` of people to add, as for `parola user import`")
	f.BoolVar(&o.verbose, "verbose", false, "show the provider's log")
	if err := f.Parse(args); err != nil {
		return o, flag.ErrHelp
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see --help", f.Arg(0))
	}
	if o.portBase < 1 || o.portBase > 65533 {
		return o, fmt.Errorf("--port-base %d: choose a port from 1 to 65533", o.portBase)
	}
	return o, nil
}

// run starts everything, says where it is, and waits for the end.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	level := slog.LevelError
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	d, err := start(ctx, o, log)
	if err != nil {
		return err
	}
	if o.json {
		line, err := json.Marshal(d.facts)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s\n", line)
	} else {
		d.greet(stdout)
	}
	return d.wait(ctx)
}

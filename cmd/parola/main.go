// Command parola is the provider and everything an operator does to it: serve, and the commands that read and change its
// records. It is the only reader of flags, files and environment variables; what the commands do is internal/app's.
//
// Exit codes: 0 done, 1 it could not be done, 2 the command line was wrong (or the doctor could not look).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	m := Main{LookupEnv: os.LookupEnv, Environ: os.Environ(), Release: release()}
	os.Exit(m.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

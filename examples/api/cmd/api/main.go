// Command api runs the example resource server.
//
//	go run ./examples/api/cmd/api --issuer http://127.0.0.1:8080 --client-id api --client-secret-file api.secret
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/parola-id/parola/examples/api"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := api.Config{Log: slog.Default()}
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8083", "address to listen on")
	secretFile := flags.String("client-secret-file", "", "file with the client secret for introspection (or API_CLIENT_SECRET)")
	flags.StringVar(&cfg.Issuer, "issuer", "http://127.0.0.1:8080", "issuer URL of the provider")
	flags.StringVar(&cfg.Resource, "resource", "", "this API's own URL (default http://LISTEN)")
	flags.StringVar(&cfg.Audience, "audience", "", "aud that access tokens must carry (default the resource)")
	flags.StringVar(&cfg.Scope, "scope", "openid", "scope that access tokens must carry")
	flags.StringVar(&cfg.ClientID, "client-id", "", "client id for introspection; empty accepts only JWT access tokens")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if cfg.Resource == "" {
		cfg.Resource = "http://" + *listen
	}
	cfg.ClientSecret = os.Getenv("API_CLIENT_SECRET")
	if *secretFile != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			return err
		}
		cfg.ClientSecret = strings.TrimSpace(string(secret))
	}
	handler, err := api.New(cfg)
	if err != nil {
		return err
	}
	return serve(ctx, *listen, handler)
}

// serve answers until ctx ends, then lets requests in progress finish.
func serve(ctx context.Context, listen string, handler http.Handler) error {
	server := &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	}()
	slog.Info("listening", "url", "http://"+listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

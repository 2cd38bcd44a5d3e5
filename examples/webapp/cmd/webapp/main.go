// Command webapp runs the example web application.
//
//	go run ./examples/webapp/cmd/webapp --issuer http://127.0.0.1:8080 --client-id webapp --client-secret-file webapp.secret
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

	"github.com/parola-id/parola/examples/webapp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "webapp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := webapp.Config{Log: slog.Default()}
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8081", "address to listen on")
	baseURL := flags.String("base-url", "", "this application's own URL (default http://LISTEN)")
	secretFile := flags.String("client-secret-file", "", "file with the client secret (or WEBAPP_CLIENT_SECRET)")
	flags.StringVar(&cfg.Issuer, "issuer", "http://127.0.0.1:8080", "issuer URL of the provider")
	flags.StringVar(&cfg.ClientID, "client-id", "", "client id at the provider")
	flags.StringVar(&cfg.APIURL, "api-url", "", "base URL of the example resource server")
	flags.StringVar(&cfg.HandsetURL, "handset-url", "", "URL of the demo's phone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *baseURL == "" {
		*baseURL = "http://" + *listen
	}
	cfg.RedirectURL = *baseURL + "/callback"
	cfg.PostLogoutRedirectURL = *baseURL + "/signed-out"
	cfg.ClientSecret = os.Getenv("WEBAPP_CLIENT_SECRET")
	if *secretFile != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			return err
		}
		cfg.ClientSecret = strings.TrimSpace(string(secret))
	}
	handler, err := webapp.New(ctx, cfg)
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

// Command cliapp is an example of a native application on the command line: it signs a person in through their
// browser and prints what the provider says of them.
//
//	go run ./examples/cliapp --issuer http://127.0.0.1:8080 --client-id cliapp
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/parola-id/parola/examples/cliapp/native"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cliapp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	cfg := native.Config{OpenBrowser: openBrowser}
	flags := flag.NewFlagSet("cliapp", flag.ContinueOnError)
	flags.StringVar(&cfg.Issuer, "issuer", "http://127.0.0.1:8080", "issuer URL of the provider")
	flags.StringVar(&cfg.ClientID, "client-id", "", "client id of a public, native client at the provider")
	flags.BoolVar(&cfg.JSON, "json", false, "print one JSON object per line: the URL, then the result")
	flags.DurationVar(&cfg.Timeout, "timeout", 5*time.Minute, "how long to wait for you in the browser")
	scopes := flags.String("scopes", "openid profile", "scopes to ask for")
	acrValues := flags.String("acr-values", "", "acr values to ask for, of which the login must have one")
	printOnly := flags.Bool("no-browser", false, "print the URL and do not open it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Scopes = strings.Fields(*scopes)
	cfg.ACRValues = strings.Fields(*acrValues)
	if *printOnly {
		cfg.OpenBrowser = nil
	}
	return native.Run(ctx, cfg, stdout)
}

// openBrowser uses the browser that the person already has, never a window of this program's own: there they can see
// the address, and their password manager works (RFC 8252 §8.12).
func openBrowser(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	command := exec.Command(name, args...)
	if err := command.Start(); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	go func() { _ = command.Wait() }()
	return nil
}

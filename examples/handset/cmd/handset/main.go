// Command handset runs the phone on the screen by itself, for a provider that is configured elsewhere:
//
//	go run ./examples/handset/cmd/handset -webhook http://127.0.0.1:8080/webhooks/whatsapp -phone "Anna=+393331234567"
//
// Credentials that are not given are made up; all are printed, together with the base URLs the provider needs.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/parola-id/parola/examples/handset"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "handset:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	addr, verifyToken, cfg, err := parse(args)
	if err != nil {
		return err
	}
	h, err := handset.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	fmt.Printf("handset            %s/   (JSON API: %s/api)\n", base, base)
	fmt.Printf("Meta               base URL %s, phone number id %s, access token %s, app secret %s\n", base, cfg.PhoneNumberID, cfg.AccessToken, cfg.AppSecret)
	fmt.Printf("Twilio             base URL %s, account %s, auth token %s, from %s\n", base, cfg.AccountSID, cfg.AuthToken, cfg.SMSFrom)
	fmt.Printf("Vonage             base URL %s, key %s, secret %s, signature secret %s (sha256)\n", base, cfg.Vonage.Key, cfg.Vonage.Secret, cfg.Vonage.SignatureSecret)
	fmt.Printf("Infobip            base URL %s, key %s\n", base, cfg.Infobip.Key)
	fmt.Printf("AWS                base URL %s, region eu-central-1, key %s, secret %s (no topic: no receipts)\n", base, cfg.AWS.AccessKeyID, cfg.AWS.SecretAccessKey)

	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if verifyToken != "" {
		if err := h.Handshake(ctx, verifyToken); err != nil {
			fmt.Fprintln(os.Stderr, "handset:", err)
		}
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		err = nil
	}
	_ = h.Close()
	shutdown, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(shutdown))
}

func parse(args []string) (addr, verifyToken string, cfg handset.Config, err error) {
	flags := flag.NewFlagSet("handset", flag.ContinueOnError)
	var templateName, languages string
	var ttl time.Duration
	flags.StringVar(&addr, "addr", "127.0.0.1:8082", "where to listen")
	flags.StringVar(&cfg.WebhookURL, "webhook", "", "the provider's URL for Meta's webhooks")
	flags.StringVar(&verifyToken, "verify-token", "", "do the webhook handshake at start with this token")
	flags.StringVar(&cfg.PhoneNumberID, "phone-number-id", "106000000000001", "id of the business number")
	flags.StringVar(&cfg.AccessToken, "access-token", "", "Meta's access token (made up when empty)")
	flags.StringVar(&cfg.AppSecret, "app-secret", "", "Meta's app secret (made up when empty)")
	file := func(secret *string, name, what string) {
		flags.Func(name, "`file` with "+what, func(path string) error {
			text, err := os.ReadFile(path)
			*secret = strings.TrimSpace(string(text))
			return err
		})
	}
	file(&cfg.AccessToken, "access-token-file", "Meta's access token")
	file(&cfg.AppSecret, "app-secret-file", "Meta's app secret")
	file(&cfg.AuthToken, "auth-token-file", "Twilio's auth token")
	flags.StringVar(&cfg.AccountSID, "account-sid", "", "Twilio's account (made up when empty)")
	flags.StringVar(&cfg.AuthToken, "auth-token", "", "Twilio's auth token (made up when empty)")
	flags.StringVar(&cfg.Vonage.Key, "vonage-key", "abcd1234", "Vonage's API key")
	flags.StringVar(&cfg.Vonage.Secret, "vonage-secret", "", "Vonage's API secret (made up when empty)")
	flags.StringVar(&cfg.Vonage.SignatureSecret, "vonage-signature-secret", "", "Vonage's signature secret (made up when empty)")
	flags.StringVar(&cfg.Infobip.Key, "infobip-key", "", "Infobip's API key (made up when empty)")
	flags.StringVar(&cfg.AWS.AccessKeyID, "aws-access-key-id", "AKIDEXAMPLE", "AWS's access key id")
	flags.StringVar(&cfg.AWS.SecretAccessKey, "aws-secret-access-key", "", "AWS's secret access key (made up when empty)")
	flags.StringVar(&cfg.SMSFrom, "sms-from", "+12025550123", "the number that sends SMS")
	flags.StringVar(&templateName, "template", handset.DefaultTemplate.Name, "name of the approved authentication template")
	flags.StringVar(&languages, "languages", strings.Join(handset.DefaultTemplate.Languages, ","), "languages in which it is approved")
	flags.DurationVar(&ttl, "ttl", 30*time.Second, "message_send_ttl_seconds of the template")
	flags.BoolVar(&cfg.PairRateOff, "no-pair-rate", false, "lift Meta's limit of messages to one person")
	flags.Func("phone", "a phone on the screen, as name=number (may be repeated)", func(s string) error {
		name, number, _ := strings.Cut(s, "=")
		cfg.Phones = append(cfg.Phones, handset.Phone{Name: name, Number: number})
		return nil
	})
	if err = flags.Parse(args); err != nil {
		return "", "", cfg, err
	}
	cfg.Templates = []handset.Template{{Name: templateName, Languages: strings.Split(languages, ","), TTL: ttl}}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	for _, secret := range []*string{
		&cfg.AccessToken, &cfg.AppSecret, &cfg.AuthToken, &cfg.Vonage.Secret, &cfg.Vonage.SignatureSecret, &cfg.Infobip.Key,
		&cfg.AWS.SecretAccessKey,
	} {
		if *secret == "" {
			*secret = rand.Text()
		}
	}
	if cfg.AccountSID == "" {
		random := make([]byte, 16)
		_, _ = rand.Read(random)
		cfg.AccountSID = "AC" + hex.EncodeToString(random)
	}
	return addr, verifyToken, cfg, nil
}

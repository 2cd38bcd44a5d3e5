package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
)

// startHandset has the phone on the screen stand in for Meta and Twilio, with the accounts of the script's environment.
func (s *script) startHandset() {
	s.t.Helper()
	issuer := "http://" + freeAddress(s)
	h, err := handset.New(handset.Config{
		AccessToken: s.env["PAROLA_WHATSAPP_ACCESS_TOKEN"], AppSecret: s.env["PAROLA_WHATSAPP_APP_SECRET"],
		WebhookURL: issuer + "/webhooks/whatsapp", Templates: []handset.Template{{Name: "parola_login_code", Languages: []string{"en_US", "it"}}},
		AccountSID: "AC5ef8732a3c49700934481addd5ce1659", AuthToken: "AbCdEfGhIjKlMnOp6", DeliverAfter: time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(h)
	s.t.Cleanup(func() {
		_ = h.Close()
		server.Close()
	})
	s.vars["HANDSET"], s.vars["ISSUER"] = server.URL, issuer
	for name, value := range map[string]string{
		"PAROLA_ISSUER": issuer, "PAROLA_SERVER_LISTEN": strings.TrimPrefix(issuer, "http://"), "PAROLA_SERVER_INTERNAL_LISTEN": "",
		"PAROLA_WHATSAPP_BASE_URL": server.URL, "PAROLA_WHATSAPP_ACCOUNT_ID": "102000000000001", "PAROLA_WHATSAPP_LANGUAGES": "en_US,it",
		"PAROLA_SMS_CARRIERS": "twilio", "PAROLA_SMS_TWILIO_BASE_URL": server.URL, "PAROLA_SMS_TWILIO_FROM": "+12025550123",
		"PAROLA_SMS_TWILIO_ACCOUNT_SID": "AC5ef8732a3c49700934481addd5ce1659", "PAROLA_SMS_TWILIO_AUTH_TOKEN": "AbCdEfGhIjKlMnOp6",
	} {
		s.env[name] = value
	}
}

func freeAddress(s *script) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask calls the handset's own API; what it answers can be looked at like a command's output.
func (s *script) ask(request string) {
	s.t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.vars["HANDSET"]+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		s.t.Fatalf("ask %s: %d %s %v", request, resp.StatusCode, answer, err)
	}
	s.command, s.out, s.err = "ask "+request, string(answer), ""
}

// serve runs the provider until the script ends.
func (s *script) serve() {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, said := io.Pipe()
	ended := make(chan int, 1)
	m := s.main()
	go func() {
		code := m.Run(ctx, []string{"serve"}, strings.NewReader(""), said, io.Discard)
		said.Close()
		ended <- code
	}()
	if line, err := io.ReadAll(io.LimitReader(out, 6)); string(line) != "parola" {
		s.t.Fatalf("serve said %q, %v", line, err)
	}
	go io.Copy(io.Discard, out)
	s.t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitDone {
			s.t.Errorf("serve ended with %d", code)
		}
	})
}

// count adds messages to the ledger, as the worker of a server would: DAY COUNTRY CHANNEL CARRIER LANGUAGE SENT VERIFIED SPENT.
func (s *script) count(line string) {
	s.t.Helper()
	f := strings.Fields(line)
	sent, err := strconv.Atoi(f[5])
	if err != nil {
		s.t.Fatal(err)
	}
	verified, err := strconv.Atoi(f[6])
	if err != nil {
		s.t.Fatal(err)
	}
	spent, err := storage.ParseMoney(f[7])
	if err != nil {
		s.t.Fatal(err)
	}
	s.withStore(func(ctx context.Context, store *sqlite.Store) error {
		return store.InTx(ctx, func(ctx context.Context) error {
			return store.AddDeliveryDays(ctx, storage.DeliveryDay{
				Day: f[0], Country: f[1], Channel: storage.Channel(f[2]), Carrier: f[3], Language: f[4], Sent: sent, Delivered: sent,
				Verified: verified, Spent: spent, FellBack: map[string]int{"not_delivered": 1},
			})
		})
	})
}

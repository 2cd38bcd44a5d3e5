package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

func TestServeRunsUntilItIsToldToStop(t *testing.T) {
	s := configured(t)
	s.env["PAROLA_SERVER_LISTEN"], s.env["PAROLA_SERVER_INTERNAL_LISTEN"] = "127.0.0.1:0", ""
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, said := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- s.main().Run(ctx, []string{"serve"}, strings.NewReader(""), said, &errs)
		said.Close()
	}()
	line := make([]byte, 200)
	n, _ := out.Read(line)
	if !strings.Contains(string(line[:n]), "serves http://127.0.0.1:8080") {
		t.Fatalf("it said %q", line[:n])
	}
	stop()
	select {
	case code := <-ended:
		if code != exitDone {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not stop")
	}
	s.run([]string{"$ parola audit list --kind system.", "out system.start", "out system.stop"})
}

func TestServeSaysWhyItCannotStart(t *testing.T) {
	s := configured(t)
	s.run([]string{
		"env PAROLA_SERVER_INTERNAL_LISTEN 203.0.113.1:1",
		"env PAROLA_SERVER_LISTEN 127.0.0.1:0",
		"$ parola serve", "exit 1", "err listen on server.internal_listen",
		"env PAROLA_ISSUER http://login.bank.test",
		"$ parola serve", "exit 1", "err loopback only",
	})
}

package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServeRunsUntilItIsToldToStop(t *testing.T) {
	s := configured(t)
	s.env["PAROLA_SERVER_LISTEN"], s.env["PAROLA_SERVER_INTERNAL_LISTEN"] = "127.0.0.1:0", ""
	manager := s.manager()
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
	heard(t, manager, "READY=1")
	stop()
	heard(t, manager, "STOPPING=1")
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

// manager listens as a service manager does.
func (s *script) manager() *net.UnixConn {
	s.t.Helper()
	path := filepath.Join(s.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	s.env["NOTIFY_SOCKET"] = path
	return conn
}

func heard(t *testing.T, manager *net.UnixConn, want string) {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, err := manager.Read(said)
	if err != nil || string(said[:n]) != want {
		t.Fatalf("the service manager heard %q, %v, want %q", said[:n], err, want)
	}
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

package main

import (
	"net"
	"testing"
)

func TestHealthNeedsAServerAndNoSecret(t *testing.T) {
	s := configured(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.env["PAROLA_SERVER_LISTEN"], s.env["PAROLA_SERVER_INTERNAL_LISTEN"] = "127.0.0.1:0", l.Addr().String()
	l.Close()
	s.run([]string{"$ parola health", "exit 1", "err " + l.Addr().String()})
	s.serve()
	s.run([]string{
		"$ parola health", "out ready",
		"$ parola health --live", "out live",
		// A health check may run where secrets cannot be read.
		"env PAROLA_WHATSAPP_APP_SECRET_FILE ${DIR}/unreadable",
		"$ parola health", "out ready",
		"$ parola config check", "exit 1", "err unreadable",
		"env PAROLA_SERVER_INTERNAL_LISTEN ",
		"$ parola health", "exit 1", "err server.internal_listen is empty",
	})
}

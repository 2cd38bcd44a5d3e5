package app

import (
	"strings"
	"testing"
)

func TestHealthSaysWhetherTheServerIsReady(t *testing.T) {
	a, stop := running(t, nil)
	c := a.config
	c.Server.InternalListen = a.internal.Addr().String()
	for _, question := range []string{Live, Ready} {
		if err := Health(t.Context(), c, question); err != nil {
			t.Errorf("%s: %v", question, err)
		}
	}
	a.stopping.Store(true)
	if err := Health(t.Context(), c, Ready); err == nil || !strings.Contains(err.Error(), "503 stopping") {
		t.Errorf("of a stopping server: %v", err)
	}
	if err := Health(t.Context(), c, Live); err != nil {
		t.Errorf("a stopping server is live: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := Health(t.Context(), c, Live); err == nil {
		t.Error("a server that is gone is live")
	}
}

func TestHealthAsksOnThisMachine(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9090": "127.0.0.1:9090",
		":9090":          "127.0.0.1:9090",
		"0.0.0.0:9090":   "127.0.0.1:9090",
		"[::]:9090":      "[::1]:9090",
		"10.1.2.3:9090":  "10.1.2.3:9090",
		"node1:9090":     "node1:9090",
	} {
		if got, err := (Server{InternalListen: listen}).internalAddress(); got != want || err != nil {
			t.Errorf("%s is asked at %s, %v; want %s", listen, got, err, want)
		}
	}
	for _, listen := range []string{"", "9090"} {
		if got, err := (Server{InternalListen: listen}).internalAddress(); err == nil {
			t.Errorf("%q is asked at %s", listen, got)
		}
	}
}

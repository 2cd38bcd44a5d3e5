package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// What Health can ask of a server.
const (
	// Live is whether its process answers; Ready whether people can sign in by it now.
	Live  = "/livez"
	Ready = "/readyz"
)

// healthWithin is longer than a server takes to find that its database does not answer.
const healthWithin = 3 * time.Second

// Health asks the server of this configuration, on this machine, for Live or Ready. The error says in words why not. It
// needs no secret, so that a health check can do without them.
func Health(ctx context.Context, c Config, question string) error {
	address, err := c.Server.internalAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+question, nil)
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", address, err)
	}
	// No proxy of the environment: the server is on this machine.
	httpClient := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := httpClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var said struct{ Status string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&said) // its status says enough
	return fmt.Errorf("the server at %s answers %d %s", address, resp.StatusCode, said.Status)
}

// internalAddress is where this machine reaches the internal listener: one that listens on every address is asked on the
// loopback.
func (s Server) internalAddress() (string, error) {
	if s.InternalListen == "" {
		return "", errors.New("server.internal_listen is empty: set it, or nothing can ask whether the server is well")
	}
	host, port, err := net.SplitHostPort(s.InternalListen)
	if err != nil {
		return "", fmt.Errorf("server.internal_listen: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/parola-id/parola/bench/rig"
)

// setup is the file that says how to use a server that runs already; prepare writes one.
type setup struct {
	// Database is sqlite or postgres: it chooses the limits.
	Database string `json:"database"`
	// Client may use all grants, asks for ES256, has an opaque access token and may introspect it.
	Client client `json:"client"`
	// People are as many as there are workers; nobody else signs in as them meanwhile.
	People []person `json:"people"`
	// Carrier is where the server's whatsapp.base_url points, which we answer. Without it nobody can sign in.
	Carrier *metaSetup `json:"carrier,omitempty"`
}

type person struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// Phone has its country code, like +39347….
	Phone string `json:"phone"`
}

type metaSetup struct {
	Listen        string `json:"listen"`
	PhoneNumberID string `json:"phone_number_id"`
	AppSecret     string `json:"app_secret"`
}

// laterWork is time enough to seal events and to fill the ledger, which happens every five seconds.
const laterWork = 7 * time.Second

// runningTarget is a server that somebody else has started.
type runningTarget struct {
	target
	carrierServer *http.Server
}

func setUp(o options) (*runningTarget, string, error) {
	text, err := os.ReadFile(o.setup)
	if err != nil {
		return nil, "", err
	}
	var s setup
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", o.setup, err)
	}
	switch {
	case s.Database != "sqlite" && s.Database != "postgres":
		return nil, "", fmt.Errorf("%s: database is sqlite or postgres", o.setup)
	case s.Database == "postgres" && len(o.postmaster) == 0:
		return nil, "", errors.New("--postmaster is missing: what PostgreSQL does counts too")
	case s.Client.ID == "" || s.Client.Secret == "":
		return nil, "", fmt.Errorf("%s: a confidential client is needed: client.id, client.secret", o.setup)
	case s.Carrier != nil && len(s.People) < o.workers:
		return nil, "", fmt.Errorf("%s: %d workers need as many people", o.setup, o.workers)
	case s.Carrier != nil && s.Client.RedirectURI == "":
		return nil, "", fmt.Errorf("%s: client.redirect_uri is needed to sign people in", o.setup)
	}
	if s.Client.Scope == "" {
		s.Client.Scope = scope
	}
	t := &runningTarget{target: target{issuer: strings.TrimSuffix(o.url, "/"), client: s.Client, nodes: o.nodes, others: o.postmaster}}
	t.settle = func(ctx context.Context) error {
		if t.carrier != nil {
			t.carrier.posts.Wait()
		}
		pause(ctx, o.later)
		return ctx.Err()
	}
	for _, p := range s.People {
		t.people = append(t.people, rig.Person{Username: p.Username, Password: p.Password, Phone: p.Phone})
	}
	if s.Carrier == nil {
		return t, s.Database, nil
	}
	t.carrier = newCarrier(t.issuer, s.Carrier.PhoneNumberID, s.Carrier.AppSecret)
	l, err := net.Listen("tcp", s.Carrier.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("listen as the carrier: %w", err)
	}
	t.carrierServer = &http.Server{Handler: t.carrier, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := t.carrierServer.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "load: carrier:", err)
		}
	}()
	return t, s.Database, nil
}

func (t *runningTarget) close() {
	if t.carrierServer != nil {
		t.carrierServer.Close()
	}
}

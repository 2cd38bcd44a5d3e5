package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/storage"
)

// The client of an own installation. It is its own resource server, so that one client does for all operations.
const (
	clientID = "load"
	resource = "https://load.example.test/api"
	scope    = "openid offline_access"
)

// atOnce is how many people want to sign in at once where memory and the waiting of others are measured.
const atOnce = 64

// ownTarget is an installation that this program makes, not yet running.
type ownTarget struct {
	target
	in       *rig.Installation
	database string
}

// install makes an installation on SQLite, or on the PostgreSQL database of a DSN, whose server's processes are others.
func install(ctx context.Context, database, dsn string, others []int, people int) (*ownTarget, error) {
	o := &ownTarget{database: database, target: target{others: others}}
	var err error
	o.in, err = rig.Install(ctx, rig.Options{DSN: dsn, People: people, TemplateTTL: 5 * time.Minute, NotEntered: 5 * time.Minute,
		PasscodeLife: 10 * time.Minute, CallTimeout: 5 * time.Second, InternalListener: true,
		Carrier: func(issuer string, s rig.Secrets) http.Handler {
			o.carrier = newCarrier(issuer, s.PhoneNumberID, s.AppSecret)
			return o.carrier
		}})
	if err != nil {
		return nil, err
	}
	o.issuer, o.people, o.settle = o.in.Issuer, o.in.People, o.quiet
	if err := o.addClient(ctx); err != nil {
		o.in.Close()
		return nil, err
	}
	return o, nil
}

func (o *ownTarget) addClient(ctx context.Context) error {
	b, err := o.in.OpenBase(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	o.client, err = addClient(ctx, b, clientID)
	return err
}

// addClient adds a client with a secret that Parola makes: one that is brought along may be guessed, and is hashed slowly at
// every request.
func addClient(ctx context.Context, b *app.Base, id string) (client, error) {
	document, err := json.Marshal(map[string]any{"client_id": id, "redirect_uris": []string{rig.RedirectURI},
		"token_endpoint_auth_method": "client_secret_basic", "scope": scope, "id_token_signed_response_alg": "ES256",
		"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "parola_first_party": true,
		"parola_audience": []string{resource}, "parola_introspects": []string{resource}})
	if err != nil {
		return client{}, err
	}
	report, err := b.ImportClients(ctx, document, app.ImportOptions{})
	if err != nil {
		return client{}, err
	}
	e := report.Entries[0]
	if e.Result != app.ImportAdded || e.ClientSecret == "" {
		return client{}, fmt.Errorf("add client: %s %s", e.Result, e.Reason)
	}
	return client{ID: id, Secret: e.ClientSecret, RedirectURI: rig.RedirectURI, Scope: scope}, nil
}

// start starts the server and waits until it has made its keys and done what a start leaves for later.
func (o *ownTarget) start(ctx context.Context) (time.Duration, error) {
	server, ready, err := o.in.StartTimed(ctx)
	if err != nil {
		return 0, err
	}
	o.server, o.nodes = server, []int{server.PID()}
	return ready, o.keys(ctx)
}

// keys waits for the RSA key, which the first start makes in the background.
func (o *ownTarget) keys(ctx context.Context) error {
	w, err := newWire(ctx, o.issuer)
	if err != nil {
		return err
	}
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); {
		var set struct{ Keys []json.RawMessage }
		body, err := w.do(w.request("/jwks", "", nil))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &set); err != nil {
			return err
		}
		if len(set.Keys) >= 3 { // ES256, RS256, EdDSA
			return o.settle(ctx)
		}
		pause(ctx, 100*time.Millisecond)
	}
	return errors.New("the server did not make its keys")
}

// quiet waits until every webhook is answered, every event is sealed and in the ledger.
func (o *ownTarget) quiet(ctx context.Context) error {
	o.carrier.posts.Wait()
	store, err := o.in.OpenStore(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); pause(ctx, 100*time.Millisecond) {
		done, err := finished(ctx, store)
		if err != nil || done {
			return err
		}
	}
	return errors.New("the server has not sealed its events within two minutes")
}

func finished(ctx context.Context, store storage.Store) (bool, error) {
	unsealed, err := store.UnsealedEvents(ctx, 1)
	if err != nil || len(unsealed) > 0 {
		return false, err
	}
	last, _, err := store.LastSeal(ctx)
	if err != nil {
		return false, err
	}
	counted, err := store.Cursor(ctx, "ledger")
	return counted >= last, err
}

// stop ends the server as an operator does.
func (o *ownTarget) stop() error {
	if o.server == nil {
		return nil
	}
	err := o.server.Stop()
	o.server = nil
	if err != nil {
		return fmt.Errorf("stop the server: %w\n%s", err, o.in.LogTail(5))
	}
	return nil
}

func (o *ownTarget) close() {
	if o.server != nil {
		o.server.Kill()
	}
	o.in.Close()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

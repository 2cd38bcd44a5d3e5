package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parola-id/parola/examples/api"
	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/examples/webapp"
	"github.com/parola-id/parola/internal/app"
)

// demo is everything that runs.
type demo struct {
	facts     facts
	temporary bool

	base     *app.Base
	provider *app.App
	phone    *handset.Handset
	servers  []*http.Server
	failed   chan error
}

// start opens every socket, then fills the database and wires the parts together. When it returns, everything answers.
func start(ctx context.Context, o options, log *slog.Logger) (_ *demo, err error) {
	d := &demo{failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	address := func(offset int) string { return fmt.Sprintf("127.0.0.1:%d", o.portBase+offset) }
	webappURL, handsetURL := "http://"+address(1), "http://"+address(2)
	d.facts = facts{WebAppURL: webappURL, HandsetURL: handsetURL, APIURL: webappURL + "/api"}

	root, err := d.openData(o.data)
	if err != nil {
		return nil, err
	}
	carriers := deriveCarriers(root)
	config, err := d.configure(o, root, carriers, "http://"+address(0), address(0), handsetURL)
	if err != nil {
		return nil, err
	}
	d.facts.Issuer = config.Issuer

	var sockets [2]net.Listener
	for i := range sockets {
		if sockets[i], err = new(net.ListenConfig).Listen(ctx, "tcp", address(i+1)); err != nil {
			return nil, fmt.Errorf("%w (choose other ports with --port-base)", err)
		}
	}
	if d.base, err = app.Open(ctx, config, app.Options{Release: "demo", Log: log}); err != nil {
		return nil, err
	}
	if d.provider, err = app.New(ctx, d.base); err != nil {
		return nil, err
	}
	if err := d.provider.Listen(ctx); err != nil {
		return nil, fmt.Errorf("%w (choose other ports with --port-base)", err)
	}
	if err := d.fill(ctx, o, root); err != nil {
		return nil, err
	}
	httpClient, err := trusting(config.Server.TLSCertFile)
	if err != nil {
		return nil, err
	}
	applications, err := d.applications(ctx, httpClient, log)
	if err != nil {
		return nil, err
	}
	if d.phone, err = carriers.handset(d.facts.Users, config, httpClient, log); err != nil {
		return nil, err
	}
	d.serve(sockets[0], applications)
	d.serve(sockets[1], d.phone)
	return d, nil
}

// openData makes the data directory and its root secret, or finds them again.
func (d *demo) openData(dir string) ([]byte, error) {
	if dir == "" {
		temporary, err := os.MkdirTemp("", "parola-demo-")
		if err != nil {
			return nil, err
		}
		dir, d.temporary = temporary, true
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	d.facts.DataDir = dir
	file := filepath.Join(dir, "root.secret")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		text = []byte(base64.StdEncoding.EncodeToString(fresh) + "\n")
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("root secret of the demo: %w", err)
	}
	return base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
}

// fill adds the demo's people and clients, and those of the import files. What is there already stays as it is.
func (d *demo) fill(ctx context.Context, o options, root []byte) error {
	d.facts.Users = people()
	d.facts.Clients = clients(root, d.facts.WebAppURL, d.facts.APIURL)
	var users []map[string]any
	for _, u := range d.facts.Users {
		entry := map[string]any{"username": u.Username, "password": u.Password, "name": u.Name, "email": u.Email, "locale": u.Locale}
		if u.Phone != "" {
			entry["phone_number"], entry["phone_number_verified"] = u.Phone, true
		}
		users = append(users, entry)
	}
	for _, in := range []struct {
		what   string
		values any
		file   string
		add    func(context.Context, []byte, app.ImportOptions) (app.ImportReport, error)
	}{
		{"people", users, "", d.base.ImportUsers},
		{"clients", d.facts.Clients, "", d.base.ImportClients},
		{"people", nil, o.importUsers, d.base.ImportUsers},
		{"clients", nil, o.importClients, d.base.ImportClients},
	} {
		data, err := json.Marshal(in.values)
		if in.values == nil {
			if in.file == "" {
				continue
			}
			data, err = os.ReadFile(in.file)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", in.what, err)
		}
		report, err := in.add(ctx, data, app.ImportOptions{})
		if err != nil {
			return fmt.Errorf("add %s: %w", in.what, err)
		}
		for _, e := range report.Entries {
			if e.Result == app.ImportRefused {
				return fmt.Errorf("add %s: entry %d, %s: %s", in.what, e.Index, e.Name, e.Reason)
			}
		}
	}
	return nil
}

// applications are the web application and the resource server, on one socket.
func (d *demo) applications(ctx context.Context, httpClient *http.Client, log *slog.Logger) (http.Handler, error) {
	f := d.facts
	web, bank := f.Clients[0], f.Clients[3]
	shop, err := webapp.New(ctx, webapp.Config{
		Issuer: f.Issuer, ClientID: web.ClientID, ClientSecret: web.ClientSecret, RedirectURL: web.RedirectURIs[0],
		PostLogoutRedirectURL: web.PostLogoutRedirectURIs[0], HandsetURL: f.HandsetURL, APIURL: f.APIURL,
		HTTPClient: httpClient, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the application: %w", err)
	}
	resources, err := api.New(api.Config{
		Issuer: f.Issuer, Resource: f.APIURL, ClientID: bank.ClientID, ClientSecret: bank.ClientSecret, HTTPClient: httpClient, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the resource server: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", resources))
	mux.Handle("/", shop)
	return mux, nil
}

func (d *demo) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	d.servers = append(d.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- err
		}
	}()
}

// wait runs the provider until ctx ends or a part fails, and then stops everything in the order in which nothing is
// left waiting for another.
func (d *demo) wait(ctx context.Context) error {
	defer d.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.provider.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case err := <-d.failed:
		cancel()
		<-ended
		return err
	}
}

func (d *demo) close() {
	for _, s := range d.servers {
		_ = s.Close() // the process ends
	}
	if d.phone != nil {
		_ = d.phone.Close()
	}
	if d.base != nil {
		_ = d.base.Close()
	}
	if d.temporary {
		_ = os.RemoveAll(d.facts.DataDir)
	}
}

// trusting is an HTTP client that trusts the certificate of --config besides the system's, so that the phone and the
// applications reach a provider that speaks TLS.
func trusting(certFile string) (*http.Client, error) {
	if certFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the provider's certificate: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the provider's certificate: %s holds none", certFile)
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}, nil
}

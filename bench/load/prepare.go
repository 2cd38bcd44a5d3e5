package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/parola-id/parola/internal/app"
)

// prepare adds a client and people to an installation that is there to be measured, and writes the setup file for it.
func prepare(ctx context.Context, o options, out io.Writer) error {
	document, err := os.ReadFile(o.config)
	if err != nil {
		return err
	}
	c, err := app.Load(app.Defaults(), document, app.Source{LookupEnv: os.LookupEnv, ReadSecret: func(path string) (string, error) {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", o.config, err)
	}
	meta, err := url.Parse(c.WhatsApp.BaseURL)
	if err != nil || meta.Scheme != "http" || meta.Port() == "" {
		return errors.New("point whatsapp.base_url of the server at this program, like http://127.0.0.1:9701: real messages would go out otherwise")
	}
	b, err := app.Open(ctx, c, app.Options{Release: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	s := setup{Database: c.Database.Driver, Carrier: &metaSetup{Listen: meta.Host, PhoneNumberID: c.WhatsApp.PhoneNumberID, AppSecret: c.WhatsApp.AppSecret.Reveal()}}
	run := strings.ToLower(rand.Text()[:8]) // a second run adds others
	if s.Client, err = addClient(ctx, b, clientID+"-"+run); err != nil {
		return err
	}
	for i := range o.workers {
		p := person{Username: fmt.Sprintf("load-%s-%d", run, i), Password: rand.Text(), Phone: fmt.Sprintf("+39347%07d", i)}
		if _, err := b.AddUser(ctx, app.NewUser{Username: p.Username, Password: p.Password, Phone: p.Phone, PhoneVerified: true}); err != nil {
			return fmt.Errorf("add person: %w", err)
		}
		s.People = append(s.People, p)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

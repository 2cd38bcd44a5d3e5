package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/storage"
)

type clientCommands struct {
	Add          clientAdd          `cmd:"" help:"Register an application."`
	List         clientList         `cmd:"" help:"List applications by client id."`
	Show         clientShow         `cmd:"" help:"Show one application."`
	RotateSecret clientRotateSecret `cmd:"" help:"Make a new client secret; the old one stays valid for a while."`
	Remove       clientRemove       `cmd:"" help:"Remove an application with everything that people granted it."`
	Import       clientImport       `cmd:"" help:"Add the applications of a JSON file."`
}

type clientAdd struct {
	Name                  string   `required:"" help:"What people read on the consent page."`
	Type                  string   `enum:"web,native,service" default:"web" help:"web: on a server. native: on a phone or desktop, without a secret. service: no people, client_credentials only."`
	RedirectURI           []string `sep:"none" placeholder:"URI" help:"Where people return to, exactly. May be repeated."`
	PostLogoutRedirectURI []string `sep:"none" placeholder:"URI" help:"Where people may return to after logout. May be repeated."`
	AuthMethod            string   `enum:",none,client_secret_basic,client_secret_post,private_key_jwt" default:"" help:"How it authenticates: none, client_secret_basic, client_secret_post or private_key_jwt. Default: none for native, else client_secret_basic."`
	JWKS                  string   `name:"jwks" placeholder:"FILE" help:"Its public keys, for private_key_jwt."`
	JWKSURI               string   `name:"jwks-uri" placeholder:"URL" help:"Where its public keys are, instead of --jwks."`
	PKCE                  string   `name:"pkce" enum:"required,optional" default:"required" help:"optional exempts a client that can authenticate; the exemption is in the audit log."`
	FirstParty            bool     `help:"It is yours: people are not asked for consent."`
	AlwaysRefresh         bool     `help:"Give a first-party client refresh tokens without offline_access."`
	GrantType             []string `placeholder:"TYPE" help:"authorization_code, refresh_token, client_credentials. Default: the first two, or client_credentials for a service."`
	Scope                 []string `sep:"none" placeholder:"SCOPE" help:"Scopes it may ask for. Default: openid profile email phone address, and offline_access with refresh_token."`
	AccessToken           string   `enum:"opaque,jwt" default:"opaque" help:"jwt gives RFC 9068 tokens; needs --audience."`
	IDTokenAlg            string   `name:"id-token-alg" enum:"ES256,RS256,EdDSA" default:"ES256" help:"What signs its ID tokens."`
	Audience              []string `sep:"none" placeholder:"URI" help:"Resource servers its access tokens may be for; the first is the default."`
	Introspects           []string `sep:"none" placeholder:"URI" help:"It is the resource server of this audience and may introspect tokens for it."`
	Fallback              string   `enum:",allow,ask,deny" default:"" help:"Whether a passcode may go by SMS: allow, ask or deny. Default: the installation's policy."`
	RequiredACR           string   `name:"required-acr" placeholder:"ACR" help:"The weakest login it accepts, like urn:parola:acr:phone-no-sms."`
	asJSON
}

// Help teaches.
func (clientAdd) Help() string {
	return `Prints the client id and, once, the secret, with what the application's configuration needs.

Examples:

    parola client add --name Shop --redirect-uri https://shop.example/callback --first-party
    parola client add --name "Shop for phones" --type native --redirect-uri http://127.0.0.1/callback
    parola client add --name "Nightly export" --type service --scope export --audience https://api.shop.example

Next: put the printed values into the application; any OpenID Connect library finds the rest by discovery.`
}

func (cmd clientAdd) metadata() (app.ClientMetadata, error) {
	m := app.ClientMetadata{
		ClientName: cmd.Name, RedirectURIs: cmd.RedirectURI, PostLogoutRedirectURIs: cmd.PostLogoutRedirectURI,
		GrantTypes: cmd.GrantType, AuthMethod: cmd.AuthMethod, JWKSURI: cmd.JWKSURI, IDTokenAlg: cmd.IDTokenAlg,
		PKCE: cmd.PKCE, FirstParty: cmd.FirstParty, AlwaysRefresh: cmd.AlwaysRefresh, Fallback: cmd.Fallback,
		AccessToken: cmd.AccessToken, Audience: cmd.Audience, Introspects: cmd.Introspects, RequiredACR: cmd.RequiredACR,
		ApplicationType: "web",
	}
	if len(cmd.Scope) > 0 {
		scope := strings.Join(cmd.Scope, " ")
		m.Scope = &scope
	}
	grants := []string{"authorization_code", "refresh_token"}
	switch cmd.Type {
	case "native":
		m.ApplicationType = "native"
		if m.AuthMethod == "" {
			m.AuthMethod = "none"
		}
	case "service":
		grants = []string{"client_credentials"}
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = grants
	}
	if cmd.JWKS != "" {
		keys, _, err := readFile(cmd.JWKS)
		if err != nil {
			return m, fmt.Errorf("read --jwks: %w", err)
		}
		if !json.Valid(keys) {
			return m, fmt.Errorf("read --jwks: %s is not JSON", cmd.JWKS)
		}
		m.JWKS = keys
	}
	return m, nil
}

// Run adds.
func (cmd clientAdd) Run(c *invocation) error {
	m, err := cmd.metadata()
	if err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		client, clear, err := b.AddClient(ctx, m)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(addedClient{
				ClientView: app.ViewClient(client), ClientSecret: clear, Issuer: b.Issuer(), Discovery: discovery(b.Issuer()),
			})
		}
		c.printf("added %s\n\n", printable(client.Name))
		if err := c.table(snippet(client, clear, b.Issuer())); err != nil {
			return err
		}
		c.printf("\nID tokens are signed with %s%s.\n", client.IDTokenAlg, map[bool]string{
			true: ", the default of this command; --id-token-alg RS256 is for libraries that know nothing else"}[client.IDTokenAlg == "ES256"])
		if clear != "" {
			c.printf("The secret is shown this once; `parola client rotate-secret` makes another.\n")
		}
		return nil
	})
}

// addedClient is a new client for programs.
type addedClient struct {
	app.ClientView
	ClientSecret string `json:"client_secret,omitempty"`
	Issuer       string `json:"issuer"`
	Discovery    string `json:"discovery"`
}

func discovery(issuer string) string { return issuer + "/.well-known/openid-configuration" }

// snippet is what an application's configuration needs.
func snippet(client storage.Client, clear, issuer string) [][]string {
	rows := [][]string{
		{"issuer", issuer}, {"discovery", discovery(issuer)}, {"client_id", client.ID},
	}
	if clear != "" {
		rows = append(rows, []string{"client_secret", clear})
	}
	rows = append(rows, []string{"authentication", client.AuthMethod})
	for _, uri := range client.RedirectURIs {
		rows = append(rows, []string{"redirect_uri", uri})
	}
	rows = append(rows, []string{"grant_types", strings.Join(client.GrantTypes, " ")})
	if len(client.RedirectURIs) > 0 {
		rows = append(rows, []string{"response_type", "code"}, []string{"pkce", "S256, " + app.ViewClient(client).PKCE})
	}
	return append(rows, []string{"scope", strings.Join(client.Scopes, " ")})
}

type clientList struct {
	After string `placeholder:"ID" help:"Continue after this client id."`
	Limit int    `default:"100" help:"At most so many, up to 1000."`
	asJSON
}

// Help teaches.
func (clientList) Help() string {
	return `With --json each client is shown as registration metadata, which parola client import takes elsewhere.

Example:

    parola client list

Next: parola client show ID.`
}

// Run lists.
func (cmd clientList) Run(c *invocation) error {
	if err := within("--limit", cmd.Limit, 1000); err != nil {
		return err
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		clients, err := b.Clients(ctx, cmd.After, cmd.Limit)
		if err != nil {
			return err
		}
		views := make([]app.ClientView, len(clients))
		rows := [][]string{{"CLIENT", "NAME", "TYPE", "AUTHENTICATION", "PKCE", "GRANT TYPES"}}
		for i, client := range clients {
			v := app.ViewClient(client)
			views[i] = v
			rows = append(rows, []string{v.ClientID, v.ClientName, v.ApplicationType, v.AuthMethod, v.PKCE, strings.Join(v.GrantTypes, " ")})
		}
		if cmd.JSON {
			return c.printJSON(views)
		}
		return c.table(rows)
	})
}

type clientShow struct {
	Client string `arg:"" help:"Client id."`
	asJSON
}

// Help teaches.
func (clientShow) Help() string {
	return `Secrets are kept as hashes and cannot be shown, only their times.

Example:

    parola client show c-0123456789abcdefghjkmnpqrs --json

Next: parola audit list --client ID shows what it did.`
}

// Run shows.
func (cmd clientShow) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		client, err := b.Client(ctx, cmd.Client)
		if err != nil {
			return err
		}
		v := app.ViewClient(client)
		if cmd.JSON {
			return c.printJSON(v)
		}
		rows := append([][]string{{"name", v.ClientName}}, snippet(client, "", b.Issuer())...)
		rows = append(rows, []string{"ID tokens", v.IDTokenAlg}, []string{"access tokens", v.AccessToken},
			[]string{"first party", yesNo(v.FirstParty)}, []string{"fallback", v.Fallback},
			[]string{"required acr", v.RequiredACR}, []string{"audience", strings.Join(v.Audience, " ")},
			[]string{"introspects", strings.Join(v.Introspects, " ")},
			[]string{"post logout", strings.Join(v.PostLogoutRedirectURIs, " ")}, []string{"keys", v.JWKSURI})
		for _, s := range v.Secrets {
			end := "does not end"
			if !s.ExpiresAt.IsZero() {
				end = "ends " + when(s.ExpiresAt)
			}
			rows = append(rows, []string{"secret", "made " + when(s.CreatedAt) + ", " + end})
		}
		return c.table(rows)
	})
}

type clientRotateSecret struct {
	Client    string        `arg:"" help:"Client id."`
	ExpireOld time.Duration `default:"24h" help:"How long the old secret stays valid; 0 ends it at once."`
	asJSON
}

// Help teaches.
func (clientRotateSecret) Help() string {
	return `At most two secrets are valid at a time: the new one and the newest of the old.

Example:

    parola client rotate-secret c-0123456789abcdefghjkmnpqrs --expire-old 1h

Next: put the new secret into the application before the old one ends. If it leaked, use --expire-old 0s.`
}

// Run rotates.
func (cmd clientRotateSecret) Run(c *invocation) error {
	if cmd.ExpireOld < 0 {
		return misuse("--expire-old must not be negative")
	}
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		clear, oldUntil, err := b.RotateSecret(ctx, cmd.Client, cmd.ExpireOld)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(struct {
				ClientID     string    `json:"client_id"`
				ClientSecret string    `json:"client_secret"`
				OldUntil     time.Time `json:"old_until,omitzero"`
			}{cmd.Client, clear, oldUntil})
		}
		c.printf("client_secret: %s   (shown once)\n", clear)
		if oldUntil.IsZero() {
			c.printf("no older secret is valid\n")
		} else {
			c.printf("the old secret is valid until %s\n", when(oldUntil))
		}
		return nil
	})
}

type clientRemove struct {
	Client string `arg:"" help:"Client id."`
}

// Help teaches.
func (clientRemove) Help() string {
	return `Its tokens are dead at once. What it did stays in the audit log.

Example:

    parola client remove c-0123456789abcdefghjkmnpqrs

Next: parola audit list --client ID still shows its past.`
}

// Run removes.
func (cmd clientRemove) Run(c *invocation) error {
	return c.withBase(func(ctx context.Context, b *app.Base) error {
		if err := b.RemoveClient(ctx, cmd.Client); err != nil {
			return err
		}
		c.printf("removed %s\n", printable(cmd.Client))
		return nil
	})
}

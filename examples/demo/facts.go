package main

import (
	"fmt"
	"io"
	"strings"
)

// facts are what `--json` prints: everything a test harness needs to drive the demo.
type facts struct {
	Issuer     string   `json:"issuer"`
	WebAppURL  string   `json:"webapp_url"`
	HandsetURL string   `json:"handset_url"`
	APIURL     string   `json:"api_url"`
	DataDir    string   `json:"data_dir"`
	ConfigFile string   `json:"config_file"`
	Users      []user   `json:"users"`
	Clients    []client `json:"clients"`
}

// user is one of the demo's people.
type user struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Phone    string `json:"phone,omitempty"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Locale   string `json:"locale"`
	Note     string `json:"note"`
}

// client is one of the demo's clients, with RFC 7591's names.
type client struct {
	ClientID                string   `json:"client_id"`
	ClientSecret            string   `json:"client_secret,omitempty"`
	ClientName              string   `json:"client_name"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	RedirectURIs            []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs  []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes              []string `json:"grant_types"`
	Scope                   string   `json:"scope"`
	ApplicationType         string   `json:"application_type,omitempty"`
	IDTokenAlg              string   `json:"id_token_signed_response_alg,omitempty"`
	FirstParty              bool     `json:"parola_first_party"`
	AccessToken             string   `json:"parola_access_token,omitempty"`
	Audience                []string `json:"parola_audience,omitempty"`
	Introspects             []string `json:"parola_introspects,omitempty"`
}

// greet tells a person what is there and what to try.
func (d *demo) greet(w io.Writer) {
	f := d.facts
	fmt.Fprintf(w, `
Parola is running. Everything is on this machine; nothing was sent anywhere.

  the application   %s   begin here
  the phone         %s   leave it open beside it
  the provider      %s

People (user name, password, phone):
`, f.WebAppURL, f.HandsetURL, f.Issuer)
	for _, u := range f.Users {
		fmt.Fprintf(w, "  %-8s %-24s %-16s %s\n", u.Username, u.Password, orNone(u.Phone), u.Note)
	}
	fmt.Fprintf(w, `
Try:
  1. Sign in at the application as ada. The code arrives on WhatsApp, on the phone.
  2. Turn the phone off (switch "Phone off") and sign in again: the page counts down, and an SMS follows.
  3. Open "Payments" after an SMS login: it wants a stronger login, and no SMS.
  4. Sign in from the command line:
       go run ./examples/cliapp --issuer %s --client-id demo-cli
  5. See both logins in the audit log, and follow one from the request to its tokens:
       go run ./cmd/parola --config %s audit list --user ada
       go run ./cmd/parola --config %s audit show ID    (any id of the list)
  6. Be the operator: what would keep a code from arriving, and what the logins cost:
       go run ./cmd/parola --config %s doctor
       go run ./cmd/parola --config %s delivery report

Data are in %s%s
Ctrl-C stops.
`, f.Issuer, f.ConfigFile, f.ConfigFile, f.ConfigFile, f.ConfigFile, f.DataDir, d.keeps())
}

func orNone(s string) string {
	if s == "" {
		return "(no phone)"
	}
	return s
}

func (d *demo) keeps() string {
	if d.temporary {
		return ", and are removed at the end; --data DIR keeps them."
	}
	return "."
}

// scopes joins a scope list as RFC 7591 wants it.
func scopes(s ...string) string { return strings.Join(s, " ") }

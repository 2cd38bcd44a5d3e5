package harness

import (
	"crypto/x509"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

// Demo is the demo, driven by the object that --json prints.
type Demo struct {
	*Process
	Facts DemoFacts
	Port  int
	t     testing.TB
}

// DemoFacts is the object.
type DemoFacts struct {
	Issuer     string `json:"issuer"`
	WebAppURL  string `json:"webapp_url"`
	HandsetURL string `json:"handset_url"`
	APIURL     string `json:"api_url"`
	DataDir    string `json:"data_dir"`
	ConfigFile string `json:"config_file"`
	Users      []struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Phone    string `json:"phone"`
	} `json:"users"`
	Clients []DemoClient `json:"clients"`
}

// DemoClient is one of the demo's clients, with RFC 7591's names.
type DemoClient struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	RedirectURIs []string `json:"redirect_uris"`
}

// StartDemo starts the demo and waits for its first line, after which everything listens. A port of 0 finds free ones.
func StartDemo(t testing.TB, port int, args ...string) *Demo {
	t.Helper()
	if port == 0 {
		port = Ports(t, 3)
	}
	d := &Demo{Port: port, t: t}
	d.Process = Start(t, nil, Program(t, "examples/demo"), append([]string{"--json", "--port-base", strconv.Itoa(port)}, args...)...)
	line := d.FirstLine(t)
	if err := json.Unmarshal([]byte(line), &d.Facts); err != nil {
		t.Fatalf("the first line of the demo is %q: %v\n%s", line, err, d.Output())
	}
	return d
}

// Person is one of the demo's people.
func (d *Demo) Person(name string) Person {
	d.t.Helper()
	for _, u := range d.Facts.Users {
		if u.Username == name {
			return Person{Username: name, Password: u.Password, Phone: NewPhone(d.t, d.Facts.HandsetURL, u.Phone)}
		}
	}
	d.t.Fatalf("the demo tells of no %s", name)
	return Person{}
}

// RelyingParty is one of the demo's clients, in the place of the demo's application.
func (d *Demo) RelyingParty(id string, trust *x509.CertPool) *RelyingParty {
	d.t.Helper()
	i := slices.IndexFunc(d.Facts.Clients, func(c DemoClient) bool { return c.ID == id })
	if i < 0 {
		d.t.Fatalf("the demo tells of no client %s", id)
	}
	c := d.Facts.Clients[i]
	return &RelyingParty{Issuer: d.Facts.Issuer, ID: id, Secret: c.Secret, RedirectURI: c.RedirectURIs[0],
		PostAuth: c.AuthMethod == "client_secret_post", Scope: "openid profile email phone offline_access",
		HTTP: NewBrowser(d.t, trust).Client}
}

// StoppingAt makes a browser stop where it would come back to a relying party of the test.
func (b *Browser) StoppingAt(rp *RelyingParty) *Browser {
	callback, err := url.Parse(rp.RedirectURI)
	if err != nil {
		b.t.Fatal(err)
	}
	b.StopAt = func(u *url.URL) bool { return u.Host == callback.Host && u.Path == callback.Path }
	return b
}

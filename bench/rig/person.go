package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Person signs in.
type Person struct{ ID, Username, Password, Phone string }

// Application is what a client asks for in an authorization request.
type Application struct{ ClientID, RedirectURI, Scope string }

// CodeVerifier belongs to the code_challenge of every request here: the pair of RFC 7636, appendix B.
const CodeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// Login is one browser on its way through one authorization request.
type Login struct {
	issuer, redirectURI string
	httpClient          *http.Client
	// Page is where the browser is: its address and its forms by the last part of the path they are sent to.
	Page  *url.URL
	Forms map[string]url.Values
	to    map[string]string
	// AuthCode is set when the browser was sent back to the client with one, Error when with an error.
	AuthCode, Error string
	// PutOff counts requests that were repeated, because the server was busy or away.
	PutOff int
}

// transport is shared: connections are dear.
var transport = &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}

// Begin opens an authorization request of the installation's own client in a fresh browser and stops at the password.
func (in *Installation) Begin(ctx context.Context) (*Login, error) {
	return Begin(ctx, in.Issuer, Application{ClientID: ClientID, RedirectURI: RedirectURI, Scope: "openid"})
}

// Begin opens an authorization request in a fresh browser and stops at the password.
func Begin(ctx context.Context, issuer string, a Application) (*Login, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	l := &Login{issuer: issuer, redirectURI: a.RedirectURI, httpClient: &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	query := url.Values{
		"client_id": {a.ClientID}, "redirect_uri": {a.RedirectURI}, "response_type": {"code"}, "scope": {a.Scope},
		"code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
		"nonce": {random()}, "state": {random()},
	}
	return l, l.load(ctx, http.MethodGet, issuer+"/authorize?"+query.Encode(), nil)
}

// Password types the password.
func (l *Login) Password(ctx context.Context, p Person) error {
	return l.Submit(ctx, "login", url.Values{"username": {p.Username}, "password": {p.Password}})
}

// Has says whether the page has a form that is sent to a path ending so.
func (l *Login) Has(form string) bool { _, there := l.to[form]; return there }

// Submit sends a form of the page, with what was typed into it.
func (l *Login) Submit(ctx context.Context, form string, typed url.Values) error {
	to, there := l.to[form]
	if !there {
		return fmt.Errorf("%s has no form to %s", l.Page, form)
	}
	return l.load(ctx, http.MethodPost, to, l.filled(form, typed))
}

// filled is a form with what was typed into it.
func (l *Login) filled(form string, typed url.Values) url.Values {
	values := maps.Clone(l.Forms[form])
	maps.Copy(values, typed)
	return values
}

// Request is the POST that a form makes, for a program that sends it by itself. The form must be there.
func (l *Login) Request(form string, typed url.Values) *http.Request {
	to, err := url.Parse(l.to[form])
	if err != nil {
		panic("rig: an address that was parsed before: " + err.Error())
	}
	body := l.filled(form, typed).Encode()
	r := &http.Request{Method: http.MethodPost, URL: to, Header: http.Header{}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", l.issuer)
	for _, c := range l.httpClient.Jar.Cookies(to) {
		r.AddCookie(c)
	}
	return r
}

// Reload looks at the page again.
func (l *Login) Reload(ctx context.Context) error {
	return l.load(ctx, http.MethodGet, l.Page.String(), nil)
}

// load follows redirects until a page or the client's address. A server that is away is waited for: it comes back.
func (l *Login) load(ctx context.Context, method, address string, form url.Values) error {
	for range 12 {
		resp, body, err := l.once(ctx, method, address, form)
		if err != nil {
			return err
		}
		location, err := resp.Location()
		if errors.Is(err, http.ErrNoLocation) {
			return l.look(resp, body)
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(location.String(), l.redirectURI) {
			l.AuthCode, l.Error = location.Query().Get("code"), location.Query().Get("error")
			l.Page, l.Forms, l.to = location, nil, nil
			return nil
		}
		method, address, form = http.MethodGet, location.String(), nil
	}
	return errors.New("redirected in a circle")
}

func (l *Login) once(ctx context.Context, method, address string, form url.Values) (*http.Response, string, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, "", err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", l.issuer)
		}
		resp, err := l.httpClient.Do(req)
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
				return resp, string(body), nil
			}
		}
		l.PutOff++
		select {
		case <-ctx.Done():
			return nil, "", fmt.Errorf("%s %s: %w", method, req.URL.Path, errors.Join(err, ctx.Err()))
		case <-time.After(wait):
		}
	}
}

func (l *Login) look(resp *http.Response, body string) error {
	l.Page, l.Forms, l.to = resp.Request.URL, map[string]url.Values{}, map[string]string{}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return err
	}
	for n := range root.Descendants() {
		if n.DataAtom != atom.Form {
			continue
		}
		action, err := l.Page.Parse(attribute(n, "action"))
		if err != nil {
			return err
		}
		name := action.Path[strings.LastIndex(action.Path, "/")+1:]
		values := url.Values{}
		for field := range n.Descendants() {
			if field.DataAtom == atom.Input && attribute(field, "type") == "hidden" {
				values.Add(attribute(field, "name"), attribute(field, "value"))
			}
		}
		l.Forms[name], l.to[name] = values, action.String()
	}
	return nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

package harness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Browser is a browser without JavaScript: cookies, redirects and forms. It says where its posts come from, as browsers
// do. Several goroutines may use it, like the tabs of one window.
type Browser struct {
	Client *http.Client
	// StopAt names addresses that are not loaded: the redirect that leads there is the answer.
	StopAt func(u *url.URL) bool
	// Language is sent as Accept-Language.
	Language string
	t        testing.TB
}

// NewBrowser returns a browser with no cookies. With a pool it trusts its certificates.
func NewBrowser(t testing.TB, trust *x509.CertPool) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{
		Client: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Language: "en", t: t,
	}
}

// Through has the browser reach the provider by another address, as a balancer would: what it asks for stays the same.
func (b *Browser) Through(address string) *Browser {
	to := strings.TrimPrefix(address, "http://")
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to)
	}}
	b.t.Cleanup(transport.CloseIdleConnections)
	b.Client.Transport = transport
	return b
}

// Get loads a page.
func (b *Browser) Get(address string) *Page {
	b.t.Helper()
	return b.must(b.Load(http.MethodGet, address, nil, ""))
}

// Reload loads a page again.
func (b *Browser) Reload(p *Page) *Page {
	b.t.Helper()
	return b.Get(p.URL.String())
}

// Press presses the visible button with a text, having typed values given as name, value, name, value.
func (b *Browser) Press(p *Page, button string, typed ...string) *Page {
	b.t.Helper()
	return b.must(b.TryPress(p, button, typed...))
}

// TryPress is Press for goroutines of a test, which must not end it.
func (b *Browser) TryPress(p *Page, button string, typed ...string) (*Page, error) {
	f, pressed, ok := p.formOf(button)
	if !ok {
		return nil, fmt.Errorf("%s (%d) has no button %q:\n%s", p.URL, p.Status, button, p.summary())
	}
	if pressed.Name != "" {
		f.Values.Set(pressed.Name, pressed.Value)
	}
	for i := 0; i+1 < len(typed); i += 2 {
		f.Values.Set(typed[i], typed[i+1])
	}
	return b.Load(f.Method, f.Action.String(), f.Values, origin(p.URL))
}

// Follow follows the link with a text.
func (b *Browser) Follow(p *Page, link string) *Page {
	b.t.Helper()
	u, ok := p.Link(link)
	if !ok {
		b.t.Fatalf("%s (%d) has no link %q:\n%s", p.URL, p.Status, link, p.summary())
	}
	return b.Get(u.String())
}

// Until presses "Check again" until the page says a text.
func (b *Browser) Until(p *Page, text string, within time.Duration) *Page {
	b.t.Helper()
	for end := time.Now().Add(within); !p.Says(text); p = b.Reload(p) {
		if time.Now().After(end) {
			b.t.Fatalf("%s (%d) did not say %q within %v, but:\n%s", p.URL, p.Status, text, within, p.summary())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return p
}

func (b *Browser) must(p *Page, err error) *Page {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// Load sends one request and follows the redirects of its answer. from is the origin of the page that a form is on;
// form is nil for a link.
func (b *Browser) Load(method, address string, form url.Values, from string) (*Page, error) {
	for range 20 {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("load page: %w", err)
		}
		if b.StopAt != nil && b.StopAt(u) {
			return &Page{URL: u, Stopped: true}, nil
		}
		p, next, err := b.once(method, u, form, from)
		if err != nil || next == "" {
			return p, err
		}
		method, address, form = http.MethodGet, next, nil
	}
	return nil, fmt.Errorf("load page: %s redirects too often", address)
}

func (b *Browser) once(method string, u *url.URL, form url.Values, from string) (*Page, string, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if form != nil {
		u.RawQuery = form.Encode()
	}
	req, err := http.NewRequest(method, u.String(), body)
	if err != nil {
		return nil, "", fmt.Errorf("load page: %w", err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Language", b.Language)
	req.Header.Set("User-Agent", "Mozilla/5.0 (e2e)")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", from)
		site := "cross-site"
		if from == origin(u) {
			site = "same-origin"
		}
		req.Header.Set("Sec-Fetch-Site", site)
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("load page: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, "", fmt.Errorf("load page: %w", err)
	}
	if resp.StatusCode == http.StatusSeeOther || resp.StatusCode == http.StatusFound || resp.StatusCode == http.StatusMovedPermanently {
		next, err := u.Parse(resp.Header.Get("Location"))
		if err != nil {
			return nil, "", fmt.Errorf("load page: %w", err)
		}
		return nil, next.String(), nil
	}
	return newPage(u, resp, string(text)), "", nil
}

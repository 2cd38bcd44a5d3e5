// Package outbound is the one HTTP client for addresses that others choose: today a client's jwks_uri. It reaches the
// public Internet over TLS and nothing else, whatever the name resolves to at the moment of connecting (SSR-01), and it
// cannot be made to wait long, read much or follow a redirect (SSR-02).
//
// Carriers are not its business: their addresses come from the operator.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The bounds of SSR-02.
const (
	connectTimeout = 3 * time.Second
	totalTimeout   = 5 * time.Second
	maxBody        = 256 << 10
	maxHeader      = 16 << 10
	maxPerHost     = 2
	maxURL         = 2048
)

// ErrBlocked says that an address was refused by rule; nothing was sent. Anything else that Get returns is a failure of
// the network or of the other side.
var ErrBlocked = errors.New("outbound address refused")

// Config widens what a Client may reach. The zero value is right for production.
type Config struct {
	// AllowLoopback allows http and https on loopback addresses, on any port: for an issuer that is itself on loopback.
	AllowLoopback bool
	// Ports are allowed besides 443.
	Ports []string
	// RootCAs replaces the system's certificate authorities; nil means the system's.
	RootCAs *x509.CertPool
}

// Client fetches documents. It is safe for concurrent use.
type Client struct {
	config     Config
	httpClient *http.Client
	hosts      hostGate
}

// New returns a Client.
func New(c Config) *Client {
	client := &Client{config: c}
	dialer := &net.Dialer{Timeout: connectTimeout, Control: client.checkConnect}
	client.httpClient = &http.Client{
		Timeout: totalTimeout,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy from the environment would connect where we may not
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // the body limit must count what is read, not what it unpacks to
			DisableKeepAlives:      true, // fetches are rare, and each connection is checked anew
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client
}

// CheckURL says why rawURL could never be fetched, or nil: what registration checks beforehand. It does not resolve the
// name. The error is ErrBlocked.
func (c *Client) CheckURL(rawURL string) error {
	_, err := c.parse(rawURL)
	return err
}

func (c *Client) parse(rawURL string) (*url.URL, error) {
	if len(rawURL) > maxURL {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBlocked, maxURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrBlocked)
	}
	if u.Opaque != "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%w: needs a host, and neither user information nor a fragment", ErrBlocked)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !c.reachable(addr) {
		return nil, fmt.Errorf("%w: not a public address", ErrBlocked)
	}
	if c.config.AllowLoopback && loopbackName(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https") {
		return u, nil
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("%w: the scheme must be https", ErrBlocked)
	}
	if port := u.Port(); port != "" && port != "443" && !slices.Contains(c.config.Ports, port) {
		return nil, fmt.Errorf("%w: port %s", ErrBlocked, port)
	}
	return u, nil
}

func loopbackName(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

func (c *Client) reachable(addr netip.Addr) bool {
	return public(addr) || c.config.AllowLoopback && addr.IsLoopback()
}

// checkConnect runs after the name was resolved and before the socket connects, so that a name cannot pass the check
// with one address and be used with another (DNS rebinding).
func (c *Client) checkConnect(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !c.reachable(target.Addr()) {
		return fmt.Errorf("%w: the name leads to an address that is not public", ErrBlocked)
	}
	return nil
}

// Get fetches one document and returns its body, which has at most 256 KiB. Only 200 is success; redirects are not
// followed. It takes at most 5 s, the wait for its turn at the host included.
func (c *Client) Get(ctx context.Context, rawURL, accept string) ([]byte, error) {
	u, err := c.parse(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	leave, err := c.hosts.enter(ctx, strings.ToLower(u.Hostname()))
	if err != nil {
		return nil, fmt.Errorf("wait for a turn at the host: %w", err)
	}
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrBlocked)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "Parola")
	response, err := c.httpClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch document: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch document: status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("read document: more than %d bytes", maxBody)
	}
	return body, nil
}

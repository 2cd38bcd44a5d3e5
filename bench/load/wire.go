package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// wire is the connection of one worker to the server. net/http's client costs more processor time than the server takes for
// its cheapest answers, and both share the machine; this costs a part of that.
type wire struct {
	issuer *url.URL
	dial   func() (net.Conn, error)
	used   time.Time

	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

// keptIdle is how long a connection is kept unused; the server closes it after a minute.
const keptIdle = 30 * time.Second

// newWire makes a connection that is opened when it is first used, because the server closes one that says nothing for a few
// seconds. It ends with ctx.
func newWire(ctx context.Context, issuer string) (*wire, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Host, u.Scheme)
	}
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &wire{issuer: u, dial: func() (net.Conn, error) {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil && u.Scheme == "https" {
			conn = tls.Client(conn, &tls.Config{ServerName: u.Hostname()})
		}
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}}, nil
}

// open opens the connection, and again where it was not used for a while.
func (w *wire) open() error {
	now := time.Now()
	fresh := w.conn != nil && now.Sub(w.used) < keptIdle
	w.used = now
	if fresh {
		return nil
	}
	if w.conn != nil {
		w.conn.Close()
	}
	var err error
	if w.conn, err = w.dial(); err != nil {
		return err
	}
	w.r, w.w = bufio.NewReader(w.conn), bufio.NewWriter(w.conn)
	return nil
}

// request is one to the server; authorization is the header's value, form a body where not nil.
func (w *wire) request(path, authorization string, form url.Values) *http.Request {
	u := *w.issuer
	u.Path += path
	r := &http.Request{Method: http.MethodGet, URL: &u, Header: http.Header{}}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if form != nil {
		body := form.Encode()
		r.Method, r.ContentLength, r.Body = http.MethodPost, int64(len(body)), io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// do sends a request and returns the body of a good answer.
func (w *wire) do(r *http.Request) ([]byte, error) {
	status, body, err := w.send(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s answered %d: %.200s", r.Method, r.URL.Path, status, body)
	}
	return body, err
}

// redirected sends a request that must be answered by a redirect.
func (w *wire) redirected(r *http.Request) error {
	status, _, err := w.send(r)
	if err == nil && status != http.StatusSeeOther {
		err = fmt.Errorf("%s %s answered %d, not with a redirect", r.Method, r.URL.Path, status)
	}
	return err
}

func (w *wire) send(r *http.Request) (status int, body []byte, err error) {
	if err := w.open(); err != nil {
		return 0, nil, err
	}
	if err := w.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if err := r.Write(w.w); err != nil {
		return 0, nil, err
	}
	if err := w.w.Flush(); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(w.r, r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// tokens is the answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// token posts to the token endpoint.
func (w *wire) token(authorization string, form url.Values) (tokens, error) {
	body, err := w.do(w.request("/token", authorization, form))
	if err != nil {
		return tokens{}, err
	}
	var t tokens
	if err := json.Unmarshal(body, &t); err != nil || t.Access == "" {
		return tokens{}, fmt.Errorf("no tokens in %.200s", body)
	}
	return t, nil
}

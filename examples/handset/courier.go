package handset

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	maxCouriers = 32     // reports being posted at the same moment
	maxQueued   = 10_000 // reports waiting for one of them
)

// report is one message of a carrier to the provider: a webhook of Meta, a receipt of an SMS carrier.
type report struct {
	url         func() string // asked at each attempt, because Meta's may be set after the first report
	method      string        // POST when empty
	contentType string
	body        []byte
	sign        func(url string, h http.Header)
	// again says how long to wait after attempt n (1 is the first) was answered with status, 0 for no answer at all.
	again func(attempt, status int) (wait time.Duration, retry bool)
	twice bool
	// answered hears the last status.
	answered func(status int)
	attempt  int
}

// courier posts reports concurrently, as the carriers do: their order of arrival is not promised.
type courier struct {
	ctx    context.Context
	client *http.Client
	timers *timers
	log    *slog.Logger

	mu      sync.Mutex
	closed  bool
	running int
	queue   []*report
	wg      sync.WaitGroup
}

func (c *courier) submit(r *report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if len(c.queue) >= maxQueued {
		c.log.Warn("report dropped: too many are waiting")
		return
	}
	c.queue = append(c.queue, r)
	if c.running < maxCouriers {
		c.running++
		c.wg.Go(c.run)
	}
}

func (c *courier) run() {
	for {
		c.mu.Lock()
		if c.closed || len(c.queue) == 0 {
			c.running--
			c.mu.Unlock()
			return
		}
		r := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		c.deliver(r)
	}
}

func (c *courier) deliver(r *report) {
	r.attempt++
	status, err := c.post(r)
	if c.ctx.Err() != nil {
		return
	}
	r.answered(status)
	wait, retry := r.again(r.attempt, status)
	switch {
	case retry:
		c.log.Info("report not taken, will be repeated", "attempt", r.attempt, "status", status, "wait", wait, "err", err)
		c.timers.after(wait, func() { c.submit(r) })
	case status < 200 || status > 299:
		c.log.Warn("report given up", "attempt", r.attempt, "status", status, "err", err)
	}
}

// post returns the status of the answer, 0 when there was none.
func (c *courier) post(r *report) (int, error) {
	url := r.url()
	req, err := http.NewRequestWithContext(c.ctx, cmp.Or(r.method, http.MethodPost), url, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.sign != nil {
		r.sign(url, req.Header)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, err
}

func (c *courier) close() {
	c.mu.Lock()
	c.closed = true
	c.queue = nil
	c.mu.Unlock()
	c.wg.Wait()
}

// newClient waits as long as Twilio does, keeps its own connections and follows no redirect: a carrier would not either.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       15 * time.Second,
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

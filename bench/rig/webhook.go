package rig

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Webhooks sits before the provider's webhooks and writes down when a failed status of a message was on its way to it.
type Webhooks struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	mu     sync.Mutex
	failed map[string]time.Time
}

// TapWebhooks makes the handset's webhooks pass by. Close ends it.
func (in *Installation) TapWebhooks() (*Webhooks, error) {
	to, err := url.Parse(in.Issuer)
	if err != nil {
		return nil, err
	}
	w := &Webhooks{failed: map[string]time.Time{}}
	w.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport}
	w.server = httptest.NewServer(w)
	return w, in.Phones.SetWebhookURL(w.server.URL + "/webhooks/whatsapp")
}

// ServeHTTP implements http.Handler.
func (w *Webhooks) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var n struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct {
						Status string `json:"status"`
						Mark   string `json:"biz_opaque_callback_data"`
					} `json:"statuses"`
				} `json:"value"`
			} `json:"changes"`
		} `json:"entry"`
	}
	if json.Unmarshal(body, &n) == nil {
		w.mu.Lock()
		for _, e := range n.Entry {
			for _, c := range e.Changes {
				for _, s := range c.Value.Statuses {
					if _, seen := w.failed[s.Mark]; s.Status == "failed" && !seen {
						w.failed[s.Mark] = time.Now()
					}
				}
			}
		}
		w.mu.Unlock()
	}
	w.proxy.ServeHTTP(rw, r)
}

// Failed are the times of the failed statuses by delivery.
func (w *Webhooks) Failed() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	failed := make(map[string]time.Time, len(w.failed))
	for id, at := range w.failed {
		failed[id] = at
	}
	return failed
}

// Close ends the tap.
func (w *Webhooks) Close() { w.server.CloseClientConnections(); w.server.Close() }

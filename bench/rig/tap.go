package rig

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Call is one call to a carrier, as the carrier's side of the socket saw it.
type Call struct {
	Channel  string // whatsapp or sms
	Delivery string // our own mark on it
	At       time.Time
	// Status is what was answered; 0 when the connection was cut or held instead.
	Status int
}

// Taken says whether the carrier may have taken the message: everything but a clear refusal.
func (c Call) Taken() bool { return c.Status < 300 }

// Tap sits before the carriers and writes down every call.
type Tap struct {
	next http.Handler

	mu    sync.Mutex
	calls []*Call
	// Seen, when set, hears of every call as it comes in.
	Seen func(Call)
}

// NewTap returns a Tap before next.
func NewTap(next http.Handler) *Tap { return &Tap{next: next} }

// ServeHTTP implements http.Handler.
func (t *Tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	call, sends := read(r, body)
	if !sends {
		t.next.ServeHTTP(w, r)
		return
	}
	call.At = at
	t.mu.Lock()
	t.calls = append(t.calls, &call)
	seen := t.Seen
	t.mu.Unlock()
	if seen != nil {
		seen(call)
	}
	s := &statusWriter{ResponseWriter: w}
	defer func() {
		t.mu.Lock()
		call.Status = s.status
		t.mu.Unlock()
	}()
	t.next.ServeHTTP(s, r)
}

// read finds our mark in a send; every other request is none of the tap's business.
func read(r *http.Request, body []byte) (Call, bool) {
	switch {
	case r.Method != http.MethodPost:
	case strings.HasSuffix(r.URL.Path, "/messages"):
		var m struct {
			Type string `json:"type"`
			Mark string `json:"biz_opaque_callback_data"`
		}
		if json.Unmarshal(body, &m) == nil && m.Type == "template" { // a text is a warning, and no delivery
			return Call{Channel: "whatsapp", Delivery: m.Mark}, true
		}
	case strings.HasSuffix(r.URL.Path, "/Messages.json"):
		form, err := url.ParseQuery(string(body))
		if err != nil {
			break
		}
		callback, err := url.Parse(form.Get("StatusCallback"))
		if err == nil {
			return Call{Channel: "sms", Delivery: callback.Query().Get("delivery")}, true
		}
	}
	return Call{}, false
}

// Calls are all calls so far, in the order in which they came.
func (t *Tap) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	calls := make([]Call, len(t.calls))
	for i, c := range t.calls {
		calls[i] = *c
	}
	return calls
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection, which the handset cuts.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

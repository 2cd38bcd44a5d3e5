package idp

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/parola-id/parola/idp/login"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/templates"
)

// maxBody bounds what a browser or a client may post (INP-01). Webhooks have a bound of their own.
const maxBody = 64 << 10

// answerWithin bounds the work for one request: a database that does not answer, a queue (DOS-03). It ends before the server
// would cut the connection, so that the answer is a 503.
const answerWithin = 10 * time.Second

// identify gives the request its correlation id and its deadline, and says where it came from. An event stream has no
// deadline but those of its single steps.
func (h *handler) identify(next http.Handler) http.Handler {
	stream := h.issuer.Path + login.EventsPath
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent := r.UserAgent()
		ctx := r.Context()
		if r.URL.Path != stream {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, answerWithin)
			defer cancel()
		}
		ctx = reqinfo.With(ctx, reqinfo.Info{
			CorrelationID: storage.NewTimeID(h.Clock.Now())[:16],
			Source:        throttle.Source(h.clientAddr(r)),
			UserAgent:     strings.ToValidUTF8(agent[:min(len(agent), 256)], ""),
		})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// clientAddr is the address of the client: the socket's, unless that is a configured proxy; then the right-most address
// of X-Forwarded-For that is not one (INP-06). What stands further left is the client's own invention.
func (h *handler) clientAddr(r *http.Request) netip.Addr {
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := socket.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.trusted(addr); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}

// parseHop reads an address as proxies write it: some add the port, and all their clients would count as one otherwise.
func parseHop(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, true
	}
	withPort, err := netip.ParseAddrPort(text)
	return withPort.Addr(), err == nil
}

func (h *handler) trusted(a netip.Addr) bool {
	for _, p := range h.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// secureHeaders sets what every answer carries (WEB-06); pages set a policy with their redirect origin on top.
func (h *handler) secureHeaders(next http.Handler) http.Handler {
	fixed := map[string]string{
		"Content-Security-Policy":      templates.ContentSecurityPolicy(),
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin", // no-referrer would make forms send Origin: null
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"X-Frame-Options":              "DENY",
		"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), payment=(), usb=(), otp-credentials=(self)",
	}
	if h.https {
		fixed["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
	}
	headers := make(http.Header)
	for name, value := range fixed {
		headers.Set(name, value)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The values are shared by all answers: whoever wants others sets new ones, and one that adds to them gets a copy.
		maps.Copy(w.Header(), headers)
		next.ServeHTTP(w, r)
	})
}

// requireTLS sends people who came over plain HTTP to the https address and refuses machines, which must not learn that
// sending credentials in clear works (WEB-12).
func (h *handler) requireTLS(next http.Handler) http.Handler {
	if !h.https {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.arrivedSecurely(r) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, h.issuer.Scheme+"://"+h.issuer.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
			return
		}
		http.Error(w, "This address speaks HTTPS only.", http.StatusForbidden)
	})
}

func (h *handler) arrivedSecurely(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && h.trusted(socket.Addr().Unmap()) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// boundBody refuses large bodies before anything reads them, and multipart, which nothing here needs.
func (h *handler) boundBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody {
			h.noteInput(r)
			h.refuse(w, r, http.StatusRequestEntityTooLarge, templates.ErrorTooLarge)
			return
		}
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "multipart/") {
			h.noteInput(r)
			h.refuse(w, r, http.StatusUnsupportedMediaType, templates.ErrorBadRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses forms that another site sent (WEB-01); the token in the form is the second proof.
func (h *handler) sameOrigin(next http.Handler) http.Handler {
	check := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if check.Check(r) != nil && !h.fromIssuer(r) {
			h.noteCrossSite(r)
			h.refuse(w, r, http.StatusForbidden, templates.ErrorForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromIssuer allows a browser without Sec-Fetch-Site behind a proxy that rewrites Host: the Origin is compared with the
// configured issuer, which nobody can send along.
func (h *handler) fromIssuer(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return false
	}
	o, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && o.Scheme == h.issuer.Scheme && o.Host == h.issuer.Host
}

// survive answers a panic with our page and keeps the process (REL-06). What the runtime says of it goes to the log; any
// other value may hold what must not (KEY-08) and is told by its type.
func (h *handler) survive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			what := fmt.Sprintf("%T", p)
			if told, ok := p.(runtime.Error); ok {
				what = told.Error()
			}
			h.Log.ErrorContext(r.Context(), "panic while answering", "panic", what, "stack", string(debug.Stack()))
			if h.Panicked != nil {
				h.Panicked()
			}
			h.notePanic(r)
			h.refuse(w, r, http.StatusInternalServerError, templates.ErrorInternal)
		}()
		next.ServeHTTP(w, r)
	})
}

// background is a context for writing an event about a request that may already be gone.
func background(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// measure tells Observe of every answer, and the tracer of every request.
func (h *handler) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := h.Clock.Now()
		ctx, span := h.Tracer.Request(r.Context(), knownMethod(r.Method), h.traceparent(r), began)
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() { // a connection that is cut off by a panic was an answer too
			a := Answer{Method: knownMethod(r.Method), Route: r.Pattern, Status: seen.status, Took: h.Clock.Now().Sub(began),
				Stream: strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")}
			if a.Route == "" {
				a.Route = "other"
			}
			if h.Observe != nil {
				h.Observe(ctx, a)
			}
			span.Answered(a.Route, a.Status, reqinfo.From(ctx).CorrelationID)
		}()
		next.ServeHTTP(seen, r)
	})
}

// knownMethod keeps words of strangers out of logs and traces.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		return method
	}
	return "other"
}

// traceparent is the request's own, if the socket is a trusted proxy's and the operator says that those set or remove it:
// whoever may choose the ids of traces may write into those of others.
func (h *handler) traceparent(r *http.Request) string {
	sent := r.Header["Traceparent"]
	if !h.AcceptTraceparent || len(sent) != 1 {
		return ""
	}
	socket, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !h.trusted(socket.Addr().Unmap()) {
		return ""
	}
	return sent[0]
}

// statusWriter remembers the status; Unwrap lets http.ResponseController reach the connection.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

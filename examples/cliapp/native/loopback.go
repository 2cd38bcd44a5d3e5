package native

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// receiver is the small web server to which the browser brings the answer (RFC 8252 §7.3).
type receiver struct {
	redirectURL string

	server  *http.Server
	check   func(answer url.Values) (string, error)
	answers chan answer
}

type answer struct {
	authCode string
	err      error
}

// listen opens a loopback port that the system chooses. The address is the literal 127.0.0.1: "localhost" may resolve
// to something else, and a port open to the network would let others answer (§8.3).
func listen(check func(answer url.Values) (string, error)) (*receiver, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	rec := &receiver{
		redirectURL: "http://" + listener.Addr().String() + "/callback",
		check:       check,
		answers:     make(chan answer, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", rec.callback)
	rec.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = rec.server.Serve(listener) }() // ends with close
	return rec, nil
}

func (rec *receiver) callback(w http.ResponseWriter, r *http.Request) {
	authCode, err := rec.check(r.URL.Query())
	switch {
	case errors.Is(err, errNotOurs):
		page(w, http.StatusBadRequest, "This is not the login that is being waited for.")
		return
	case err != nil:
		page(w, http.StatusOK, "You were not signed in. The terminal says why; you may close this window.")
	default:
		page(w, http.StatusOK, "Thank you. Please go back to the terminal; you may close this window.")
	}
	select {
	case rec.answers <- answer{authCode, err}:
	default: // a reload: the first answer counts
	}
}

// wait returns the AuthCode, or the provider's refusal, or that nobody came.
func (rec *receiver) wait(ctx context.Context) (string, error) {
	select {
	case answer := <-rec.answers:
		return answer.authCode, answer.err
	case <-ctx.Done():
		return "", fmt.Errorf("nobody has signed in: %w", ctx.Err())
	}
}

// close lets the browser have its page before the program ends.
func (rec *receiver) close() {
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = rec.server.Shutdown(grace)
}

// page is all that the browser gets to see: no script, nothing loaded, nothing repeated from the URL.
func page(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"+
		"<meta name=\"color-scheme\" content=\"light dark\">\n<title>Sign in</title>\n<p>%s</p>\n</html>\n", sentence)
}

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// newServer bounds what a connection may take (DOS-03). Event streams renew their own write deadline.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		Protocols:         protocols,
		// A client that opens streams only to reset them is sent away by net/http itself. A connection holds at most one
		// largest webhook in memory.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100, MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream: 64 << 10, WriteByteTimeout: 30 * time.Second},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// listener opens the public address, with TLS when certificate files are configured. The files are read again when they
// change, so that a renewed certificate needs no restart.
func (s Server) listener(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on server.listen: %w", err)
	}
	if s.TLSCertFile == "" {
		return l, nil
	}
	certs := &certificates{cert: s.TLSCertFile, key: s.TLSKeyFile}
	if _, err := certs.get(nil); err != nil {
		l.Close()
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: certs.get, NextProtos: []string{"h2", "http/1.1"},
	}), nil
}

// serve answers until ctx ends and then lets running requests finish within grace.
func serve(ctx context.Context, srv *http.Server, l *connections, grace time.Duration) error {
	srv.ConnState = l.track
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		return srv.Close() // what has not finished by now is cut off, as announced
	}
	return err
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/idp"
	"github.com/parola-id/parola/idp/login"
	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/idp/session"
	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/internal/tracing"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/sqlite"
	"github.com/parola-id/parola/templates"
)

// App is a provider, wired and ready to run.
type App struct {
	*Base
	handler http.Handler
	mfa     *mfa.Service
	signer  *signing.Signer
	sealer  *audit.Sealer
	metrics *metrics
	tracer  *tracing.Tracer
	// endTraces sends what is left of traces.
	endTraces func()
	money     money
	stopping  atomic.Bool
	// endStreams ends the event streams, which would keep a stopping server waiting.
	endStreams func()

	// proxies are server.trusted_proxies.
	proxies          []netip.Prefix
	public, internal *connections
}

// internalConnections bound those to the listener for operators, so that probes are answered while the public one is full.
const internalConnections = 64

// New wires the rooms on an open Base. The caller still closes the Base.
func New(ctx context.Context, b *Base) (*App, error) {
	if err := b.enterEpoch(ctx); err != nil {
		return nil, err
	}
	a := &App{Base: b, metrics: newMetrics(b.release)}
	c := b.config
	pages, issuer, err := b.pages()
	if err != nil {
		return nil, err
	}
	if a.tracer, a.endTraces, err = b.traces(a.metrics); err != nil {
		return nil, err
	}
	carriers, err := b.carriers(pages, issuer, func() listener { return a.mfa })
	if err != nil {
		return nil, err
	}
	quiet := b.store.Unobserved()
	if a.money, err = a.reckon(ctx, quiet); err != nil {
		return nil, err
	}
	if a.mfa, err = mfa.New(mfa.Config{Store: b.store, Audit: b.audit, Keys: b.keys, Clock: b.clock, Throttle: b.throttle,
		Carriers: carriers.list, Routes: c.SMS.Routes, Prices: a.money.prices, Guard: a.money.guard, Warner: carriers.warner(),
		Settings: c.MFA, Hooks: a.metrics.hooks(), Tracer: a.tracer, Log: b.log}); err != nil {
		return nil, err
	}
	if a.signer, err = b.newSigner(); err != nil {
		return nil, err
	}
	if err := a.signer.Ensure(ctx, signing.ES256); err != nil {
		return nil, err
	}
	a.sealer = audit.NewSealer(audit.SealerConfig{Store: quiet, Clock: b.clock,
		Audit: b.quietAudit(quiet), Key: b.auditKey(), Holder: b.node, Log: b.log})
	sessions := session.New(session.Config{Store: b.store, Keys: b.keys, Audit: b.audit, Clock: b.clock,
		Secure: issuer.Scheme == "https", Port: issuer.Port(), Idle: c.Lifetimes.SessionIdle, Overall: c.Lifetimes.SessionOverall, Log: b.log})
	store := newCachedStore(b.store, b.clock)
	provider, err := a.oidc(store, pages, sessions, issuer)
	if err != nil {
		return nil, err
	}
	journey, err := login.New(login.Config{Store: store, MFA: a.mfa, Sessions: sessions, Passwords: b.hasher, Throttle: b.throttle,
		Keys: b.keys, Audit: b.audit, Clock: b.clock, Templates: pages, BasePath: issuer.Path, ResumePath: issuer.Path + idp.ResumePath,
		ConsentLife: c.Lifetimes.Consent, Log: b.log})
	if err != nil {
		return nil, err
	}
	if a.proxies, err = prefixes(c.Server.TrustedProxies); err != nil {
		return nil, err
	}
	a.endStreams = journey.Close
	a.metrics.registry.MustRegister(standing{circuits: a.mfa.Circuits, verdicts: a.money.guard.Verdicts, gate: b.hasher.Load,
		pools: b.store.Pools, calls: a.mfa.Calls, workers: c.MFA.Workers, streams: journey.Streams, database: quiet,
		node: b.node, clock: b.clock, log: b.log})
	a.handler, err = idp.New(idp.Config{Issuer: c.Issuer, OIDC: provider, Login: journey, Templates: pages,
		Webhooks: carriers.webhooks(a.mfa), TrustedProxies: a.proxies, Store: b.store, Audit: b.audit, Throttle: b.throttle,
		Clock: b.clock, Observe: a.observe(), Panicked: func() { a.metrics.panicked("request") },
		Tracer: a.tracer, AcceptTraceparent: c.Tracing.AcceptTraceparent, Log: b.log})
	return a, err
}

func (a *App) oidc(store *cachedStore, pages *templates.Templates, sessions *session.Manager, issuer *url.URL) (*oidc.Provider, error) {
	b, l := a.Base, a.config.Lifetimes
	fetch := outbound.New(outbound.Config{AllowLoopback: a.config.Outbound.AllowLoopback})
	return oidc.New(oidc.Config{
		Issuer: a.config.Issuer, Store: store, Sessions: sessions, Keys: b.keys, Signer: a.signer,
		Pages: idp.NewPages(pages, issuer.Path, b.log), Audit: b.audit, Clock: b.clock, Throttle: b.throttle, SlowHash: b.hasher,
		ClientKeys: outbound.NewKeySets(fetch, b.clock), LoginPath: issuer.Path + idp.LoginPath, UILocales: pages.Languages(),
		Lifetimes: oidc.Lifetimes{AuthRequest: l.AuthRequest, AuthCode: l.AuthCode, AccessToken: l.AccessToken, IDToken: l.IDToken,
			RefreshIdle: l.RefreshIdle, RefreshAbsolute: l.RefreshAbsolute},
		Log: b.log,
	})
}

// quietAudit writes the events of housekeeping.
func (b *Base) quietAudit(quiet *sqlite.Store) *audit.Writer {
	return audit.NewWriter(audit.Config{Events: quiet, Clock: b.clock, Node: b.node, Release: b.release})
}

func prefixes(networks []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("server.trusted_proxies: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// Handler is the public handler, for a program that brings its own server.
func (a *App) Handler() http.Handler { return a.handler }

// Listen opens the sockets of the configuration, so that a taken port is an error before anything else happens.
func (a *App) Listen(ctx context.Context) error {
	server := a.config.Server
	public, err := server.listener(ctx)
	if err != nil {
		return err
	}
	a.public = newConnections(public, bounds{most: server.MaxConnections, perSource: server.MaxConnectionsPerSource, exempt: a.proxies})
	a.metrics.registry.MustRegister(a.public.metrics()...)
	if server.InternalListen == "" {
		return nil
	}
	internal, err := new(net.ListenConfig).Listen(ctx, "tcp", server.InternalListen)
	if err != nil {
		a.public.Close()
		return fmt.Errorf("listen on server.internal_listen: %w", err)
	}
	a.internal = newConnections(internal, bounds{most: internalConnections})
	return nil
}

// Run serves until ctx ends or a part fails, and stops gracefully (REL-12): readiness goes off; after server.stop_delay, in
// which balancers notice, no more connections are taken, and running requests and messages on the wire finish within
// server.stop_within. What is unsent stays in the database. Listen comes first, unless the program serves Handler itself.
func (a *App) Run(ctx context.Context) error {
	if err := a.noteStart(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// The sealer stops last, so that the event of the stop has its place in the chain too; and so does the listener for
	// operators, which tells that the node is stopping.
	last := a.crew(ctx, fail)
	last.start("sealer", a.sealer.Run)
	if a.internal != nil {
		last.start("internal listener", func(ctx context.Context) error {
			return serve(ctx, newServer(a.internalHandler(), a.log), a.internal, time.Second)
		})
	}
	defer last.stop()
	work := a.crew(ctx, fail)
	a.startWork(work)
	<-ctx.Done()
	a.stopping.Store(true)
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		time.Sleep(a.config.Server.StopDelay)
	}
	work.stop()
	a.endTraces()
	a.noteStop(cause)
	if errors.Is(cause, context.Canceled) {
		return nil
	}
	return cause
}

func (a *App) startWork(work *crew) {
	work.start("dispatcher", a.mfa.Run)
	work.start("sweeper", func(ctx context.Context) error { a.sweep(ctx); return nil })
	work.start("rate cards", func(ctx context.Context) error { a.money.prices.Run(ctx); return nil })
	work.start("verdicts", func(ctx context.Context) error { a.money.guard.Run(ctx); return nil })
	work.start("ledger", func(ctx context.Context) error { a.money.ledger.Run(ctx); return nil })
	work.start("fraud", func(ctx context.Context) error { a.money.judge.Run(ctx); return nil })
	work.start("processors", func(ctx context.Context) error { lendProcessors(ctx, a.hasher.Load().Slots); return nil })
	work.start("memory", func(ctx context.Context) error { tendMemory(ctx, a.hasher.Load().Slots); return nil })
	work.start("clock", func(ctx context.Context) error { a.watchClock(ctx); return nil })
	work.start("signing keys", a.tendKeys)
	work.start("root secrets", a.sayRoots)
	if a.public != nil {
		work.start("public listener", func(ctx context.Context) error {
			server := newServer(a.handler, a.log)
			server.RegisterOnShutdown(a.endStreams)
			return serve(ctx, server, a.public, a.config.Server.StopWithin)
		})
	}
}

func (a *App) noteStart(ctx context.Context) error {
	return a.store.InTx(ctx, func(ctx context.Context) error {
		return a.audit.Write(ctx, storage.Event{Kind: audit.SystemStart, ActorID: "system"})
	})
}

// noteStop writes the last event of this node, if the database still takes it.
func (a *App) noteStop(cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	e := storage.Event{Kind: audit.SystemStop, ActorID: "system"}
	if !errors.Is(cause, context.Canceled) {
		e.Outcome = audit.Failure
	}
	if err := a.store.InTx(ctx, func(ctx context.Context) error { return a.audit.Write(ctx, e) }); err != nil {
		a.log.Warn("write stop event", "err", err)
	}
}

// maxDrift is how far the clocks of this node and the database may be apart before it is an alarm (LOG-10).
const maxDrift = 2 * time.Second

// watchClock measures the database's clock once a minute.
func (a *App) watchClock(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for alarmed := false; ; {
		offset, err := a.store.ClockOffset(ctx, func() time.Time { return a.clock.Now() })
		if err == nil {
			a.metrics.drift.Set(offset.Seconds())
			drifting := offset.Abs() > maxDrift
			if drifting && !alarmed {
				a.noteDrift(ctx, offset)
			}
			alarmed = drifting
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) noteDrift(ctx context.Context, offset time.Duration) {
	a.log.Error("clock differs from the database's", "offset", offset)
	err := a.store.InTx(ctx, func(ctx context.Context) error {
		return a.audit.Write(ctx, storage.Event{Kind: audit.SystemClockDrift, Outcome: audit.Failure, ActorID: "system",
			Data: map[string]string{"offset": offset.Round(time.Millisecond).String()}})
	})
	if err != nil {
		a.log.Warn("write clock event", "err", err)
	}
}

package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parola-id/parola/idp/password"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
)

// standing tells what holds at the moment of a scrape: how busy what is bounded is (DOS-08), and from the database what
// waits, and who does the work of which one node at a time does. Labels are those of metrics.
type standing struct {
	circuits func() []storage.Circuit
	verdicts func() []storage.Verdict
	gate     func() password.Load
	pools    func() []storage.Pool
	calls    func() map[string]int // to each carrier
	workers  int                   // the most of them
	streams  func() int
	// database is asked at each scrape.
	database interface {
		UnsealedEvents(ctx context.Context, limit int) ([]storage.Event, error)
		NextDue(ctx context.Context, busy ...string) (time.Time, error)
		Leases(ctx context.Context) ([]storage.Lease, error)
		SigningKeys(ctx context.Context) ([]storage.SigningKey, error)
	}
	node  string
	clock clock.Clock
	log   *slog.Logger
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	circuitDesc  = describe("parola_circuit_open", "1 for each circuit that is open or held.", "circuit", "state")
	verdictDesc  = describe("parola_sms_verdicts", "Number prefixes with a verdict of the defence against SMS pumping.", "edge", "state")
	hashesDesc   = describe("parola_password_hashes", "Password hashes that run, and that wait for the gate.", "state")
	slotsDesc    = describe("parola_password_slots", "The most password hashes that run, and that wait.", "state")
	refusedDesc  = describe("parola_password_refused_total", "Password checks that found the gate and its queue full.")
	connDesc     = describe("parola_database_connections", "Connections to the database.", "pool", "state")
	maxConnDesc  = describe("parola_database_connections_max", "The most connections to the database.", "pool")
	waitsDesc    = describe("parola_database_waits_total", "How often a connection to the database was waited for.", "pool")
	waitedDesc   = describe("parola_database_wait_seconds_total", "How long connections to the database were waited for.", "pool")
	callsDesc    = describe("parola_carrier_calls", "Calls to carriers that are on their way.", "carrier")
	maxCallsDesc = describe("parola_carrier_calls_max", "The most calls to one carrier at a time.")
	streamsDesc  = describe("parola_event_streams", "Browsers that watch a passcode page.")
	upDesc       = describe("parola_database_up", "Whether the database answered this scrape.")
	sealDesc     = describe("parola_seal_lag_seconds", "Age of the oldest event without a place in the audit chain.")
	dueDesc      = describe("parola_dispatch_lag_seconds", "How long the message or deadline has been due that has waited longest.")
	leaseDesc    = describe("parola_lease_held", "Whether this node has the lease for work that one node at a time does.", "lease")
	keyDesc      = describe("parola_signing_key_age_seconds", "How long the key has been in use, or announced, that has been so the longest.", "alg", "state")
)

// Describe implements prometheus.Collector.
func (standing) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{circuitDesc, verdictDesc, hashesDesc, slotsDesc, refusedDesc, connDesc, maxConnDesc, waitsDesc,
		waitedDesc, callsDesc, maxCallsDesc, streamsDesc, upDesc, sealDesc, dueDesc, leaseDesc, keyDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s standing) Collect(ch chan<- prometheus.Metric) {
	c := collector(ch)
	s.collectRefused(c)
	s.collectBounds(c)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.collectStored(ctx, c)
	if err != nil {
		s.log.WarnContext(ctx, "read what waits, for metrics", "err", err)
	}
	c.gauge(upDesc, flag(err == nil))
}

type collector chan<- prometheus.Metric

func (c collector) gauge(d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (c collector) counter(d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collectRefused tells what messages are kept from.
func (s standing) collectRefused(c collector) {
	for _, circuit := range s.circuits() {
		state := "open"
		if circuit.Held {
			state = "held"
		}
		c.gauge(circuitDesc, 1, circuit.Name, state)
	}
	counts := map[[2]string]int{}
	for _, v := range s.verdicts() {
		state := string(v.State)
		if v.Override != "" {
			state = string(v.Override)
		}
		counts[[2]string{v.Edge, state}]++
	}
	for labels, n := range counts {
		c.gauge(verdictDesc, float64(n), labels[0], labels[1])
	}
}

func (s standing) collectBounds(c collector) {
	gate := s.gate()
	c.gauge(hashesDesc, float64(gate.Running), "running")
	c.gauge(hashesDesc, float64(gate.Waiting), "waiting")
	c.gauge(slotsDesc, float64(gate.Slots), "running")
	c.gauge(slotsDesc, float64(gate.Queue), "waiting")
	c.counter(refusedDesc, float64(gate.Refused))
	for _, p := range s.pools() {
		c.gauge(connDesc, float64(p.InUse), p.Name, "in_use")
		c.gauge(connDesc, float64(p.Idle), p.Name, "idle")
		c.gauge(maxConnDesc, float64(p.Max), p.Name)
		c.counter(waitsDesc, float64(p.Waits), p.Name)
		c.counter(waitedDesc, p.Waited.Seconds(), p.Name)
	}
	for carrier, n := range s.calls() {
		c.gauge(callsDesc, float64(n), carrier)
	}
	c.gauge(maxCallsDesc, float64(s.workers))
	c.gauge(streamsDesc, float64(s.streams()))
}

// collectStored tells what only the database knows. Each question is answered from an index.
func (s standing) collectStored(ctx context.Context, c collector) error {
	now := s.clock.Now()
	unsealed, err := s.database.UnsealedEvents(ctx, 1)
	if err != nil {
		return err
	}
	var oldest time.Time
	if len(unsealed) > 0 {
		oldest = unsealed[0].At
	}
	due, err := s.database.NextDue(ctx)
	if err != nil {
		return err
	}
	leases, err := s.database.Leases(ctx)
	if err != nil {
		return err
	}
	keys, err := s.database.SigningKeys(ctx)
	if err != nil {
		return err
	}
	c.gauge(sealDesc, age(oldest, now).Seconds())
	c.gauge(dueDesc, age(due, now).Seconds())
	for _, l := range leases {
		c.gauge(leaseDesc, flag(l.Holder == s.node && now.Before(l.ExpiresAt)), l.Name)
	}
	ages := map[[2]string]time.Duration{}
	for _, k := range keys {
		since := k.ActivatedAt
		if since.IsZero() {
			since = k.CreatedAt
		}
		labels := [2]string{k.Alg, string(k.State)}
		ages[labels] = max(ages[labels], age(since, now))
	}
	for labels, oldest := range ages {
		c.gauge(keyDesc, oldest.Seconds(), labels[0], labels[1])
	}
	return nil
}

// age is how long ago something was; zero for what is still to come, or never.
func age(t, now time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t), 0)
}

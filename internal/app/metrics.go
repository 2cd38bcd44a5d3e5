package app

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parola-id/parola/internal/ledger"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// metrics are what the internal listener tells a Prometheus server. Labels have a bounded number of values and never
// name a person, a number or a client (ADM-09).
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	sends     *prometheus.HistogramVec
	receipts  *prometheus.CounterVec
	passcodes *prometheus.CounterVec
	fallbacks *prometheus.CounterVec
	alarms    *prometheus.CounterVec
	webhooks  *prometheus.CounterVec
	swept     *prometheus.CounterVec
	messages  *prometheus.CounterVec
	spent     *prometheus.CounterVec
	saved     *prometheus.GaugeVec
	arrival   *prometheus.HistogramVec
	drift     prometheus.Gauge
	spans     *prometheus.CounterVec
	behind    *prometheus.GaugeVec
	panics    *prometheus.CounterVec
	// answered holds the series of requests by their labels.
	answered sync.Map
}

type answerLabels struct {
	route  string
	status int
}

func newMetrics(release string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parola_http_request_duration_seconds", Help: "Time to answer a request on the public listener.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"route", "status"}),
		sends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parola_carrier_call_duration_seconds", Help: "Calls to carriers, by channel, outcome and class of a refusal.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"channel", "outcome", "class"}),
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_receipts_total", Help: "Receipts that were new, by channel and status.",
		}, []string{"channel", "status"}),
		passcodes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_passcodes_entered_total", Help: "Passcodes that people entered, by outcome.",
		}, []string{"outcome"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_fallbacks_total", Help: "Automatic fallbacks to SMS, by what decided them.",
		}, []string{"trigger"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_carrier_alarms_total", Help: "Refusals by a carrier that need an operator, by channel and kind.",
		}, []string{"channel", "kind"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_webhooks_rejected_total", Help: "Webhook calls with a wrong signature, size or form, by channel.",
		}, []string{"channel", "reason"}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_swept_total", Help: "Ended records removed, by kind.",
		}, []string{"kind"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_messages_total", Help: "What became of messages, by country, channel, carrier and what: sent, delivered, read, failed, verified, fallen_back.",
		}, []string{"country", "channel", "carrier", "what"}),
		spent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_messages_cost_total", Help: "What messages cost by the rate cards, in the installation's currency.",
		}, []string{"country", "channel", "carrier"}),
		saved: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parola_messages_saved", Help: "What this process counted as saved against SMS alone; below zero where SMS is the cheaper one.",
		}, []string{"country"}),
		arrival: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parola_message_seconds", Help: "Time from a carrier's acceptance to delivered and to verified, by channel, to about 8 %.",
			Buckets: []float64{.5, 1, 2, 3, 5, 8, 12, 20, 35, 60, 120, 300},
		}, []string{"channel", "to"}),
		drift: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parola_clock_drift_seconds", Help: "How far the database's clock is ahead of this node's.",
		}),
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_spans_total", Help: "Spans of traces that the collector took, and that were lost.",
		}, []string{"outcome"}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parola_sweep_behind", Help: "1 while more has ended of a kind than the last sweep of this node removed.",
		}, []string{"kind"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_panics_total", Help: "Panics that were caught, by the worker that is started again; request for one that was answered.",
		}, []string{"worker"}),
	}
	m.begin()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "parola_build_info", Help: "Always 1; the label names the release.", ConstLabels: prometheus.Labels{"version": release},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.sends, m.receipts, m.passcodes, m.fallbacks, m.alarms, m.webhooks, m.swept, m.messages,
		m.spent, m.saved, m.arrival, m.drift, m.spans, m.behind, m.panics, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// begin makes the series that alarms ask about: the first of a counter that is not there before it is 1 is no increase.
func (m *metrics) begin() {
	for _, channel := range []string{string(storage.WhatsApp), string(storage.SMS)} {
		for _, kind := range []string{"carrier_refuses", "carrier_bulletin", "circuit_open", "circuit_closed"} {
			m.alarms.WithLabelValues(channel, kind)
		}
	}
	for _, outcome := range []string{"taken", "lost"} {
		m.spans.WithLabelValues(outcome)
	}
	m.panics.WithLabelValues("request")
}

// handler serves them. A scrape asks the database a few questions: not many at a time, and not for long.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

func (m *metrics) panicked(worker string) { m.panics.WithLabelValues(worker).Inc() }

// sweptSome counts what a sweep removed of a kind, and says whether it may have left something.
func (m *metrics) sweptSome(kind storage.Sweepable, removed int, full bool) {
	m.swept.WithLabelValues(string(kind)).Add(float64(removed))
	behind := 0.0
	if full {
		behind = 1
	}
	m.behind.WithLabelValues(string(kind)).Set(behind)
}

// observe counts a request under the route that answered it, never under the path that was asked for: strangers choose
// paths.
func (m *metrics) observe(route string, status int, seconds float64) {
	labels := answerLabels{route, status}
	seen, known := m.answered.Load(labels)
	if !known { // to find a series by its labels costs more than to count in it
		seen, _ = m.answered.LoadOrStore(labels, m.requests.WithLabelValues(route, strconv.Itoa(status)))
	}
	seen.(prometheus.Observer).Observe(seconds)
}

// hooks let mfa count without knowing Prometheus.
func (m *metrics) hooks() mfa.Hooks {
	return mfa.Hooks{
		Alarm: func(a mfa.Alarm) { m.alarms.WithLabelValues(string(a.Channel), a.Kind).Inc() },
		Sent: func(ch storage.Channel, outcome string, class mfa.Class, took time.Duration) {
			m.sends.WithLabelValues(string(ch), outcome, string(class)).Observe(took.Seconds())
		},
		Receipt: func(ch storage.Channel, status storage.DeliveryState) {
			m.receipts.WithLabelValues(string(ch), string(status)).Inc()
		},
		Verified:         func(outcome string) { m.passcodes.WithLabelValues(outcome).Inc() },
		Fallback:         func(trigger string) { m.fallbacks.WithLabelValues(trigger).Inc() },
		Panic:            m.panicked,
		CallbackRejected: func(ch storage.Channel, reason string) { m.webhooks.WithLabelValues(string(ch), reason).Inc() },
	}
}

// counted takes what the ledger has counted (see ledger.Config).
func (m *metrics) counted(days []storage.DeliveryDay) {
	for _, d := range days {
		channel := string(d.Channel)
		fellBack := 0
		for _, n := range d.FellBack {
			fellBack += n
		}
		for what, n := range map[string]int{"sent": d.Sent, "delivered": d.Delivered, "read": d.Read, "failed": d.Failed,
			"verified": d.Verified, "fallen_back": fellBack} {
			m.messages.WithLabelValues(d.Country, channel, d.Carrier, what).Add(float64(n))
		}
		m.spent.WithLabelValues(d.Country, channel, d.Carrier).Add(float64(d.Spent) / float64(storage.MoneyUnit))
		m.saved.WithLabelValues(d.Country).Add(float64(d.Saved) / float64(storage.MoneyUnit))
		for to, times := range map[string]map[int]int{"delivered": d.ToDelivered, "verified": d.ToVerified} {
			for bucket, n := range times {
				for range n {
					m.arrival.WithLabelValues(channel, to).Observe(ledger.Middle(bucket).Seconds())
				}
			}
		}
	}
}

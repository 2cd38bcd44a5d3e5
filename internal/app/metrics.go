package app

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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
	drift     prometheus.Gauge
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
		drift: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parola_clock_drift_seconds", Help: "How far the database's clock is ahead of this node's.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "parola_build_info", Help: "Always 1; the label names the release.", ConstLabels: prometheus.Labels{"version": release},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.sends, m.receipts, m.passcodes, m.fallbacks, m.alarms, m.webhooks, m.swept, m.drift, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe counts a request under the route that answered it, never under the path that was asked for: strangers choose
// paths.
func (m *metrics) observe(route string, status int, seconds float64) {
	if route == "" {
		route = "other"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(seconds)
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
		CallbackRejected: func(ch storage.Channel, reason string) { m.webhooks.WithLabelValues(string(ch), reason).Inc() },
	}
}

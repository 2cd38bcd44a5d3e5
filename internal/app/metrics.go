package app

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what the internal listener tells a Prometheus server. Labels have a bounded number of values and never
// name a person, a number or a client (ADM-09).
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.HistogramVec
	deliveries *prometheus.CounterVec
	alarms     *prometheus.CounterVec
	webhooks   *prometheus.CounterVec
	swept      *prometheus.CounterVec
	drift      prometheus.Gauge
}

func newMetrics(release string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parola_http_request_duration_seconds", Help: "Time to answer a request on the public listener.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"route", "status"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parola_delivery_transitions_total", Help: "Deliveries that reached a state, by channel.",
		}, []string{"channel", "state"}),
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
	m.registry.MustRegister(m.requests, m.deliveries, m.alarms, m.webhooks, m.swept, m.drift, info,
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

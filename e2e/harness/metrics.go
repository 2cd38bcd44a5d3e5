package harness

import (
	"net/http"
	"strconv"
	"strings"
)

// Metric reads a metric from the internal listener: the sum over all series that have these labels, given as name, value.
func (in *Installation) Metric(name string, labels ...string) float64 {
	in.t.Helper()
	text := string(ask(in.t, http.MethodGet, "http://"+in.Config.Server.InternalListen+"/metrics", "", http.StatusOK))
	sum := 0.0
series:
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(series, name+"{") {
			continue
		}
		for i := 0; i+1 < len(labels); i += 2 {
			if !strings.Contains(series, labels[i]+"="+strconv.Quote(labels[i+1])) {
				continue series
			}
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			in.t.Fatalf("metric %q: %v", line, err)
		}
		sum += n
	}
	return sum
}

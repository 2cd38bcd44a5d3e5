package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/idp"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestDOS08_ManyProbesAreOneQuestionToTheDatabase(t *testing.T) {
	var asked atomic.Int64
	down := errors.New("down")
	answer := &lastAnswer{holds: time.Minute, ask: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the question has no deadline")
		}
		time.Sleep(20 * time.Millisecond) // a slow database, so that the probes below come meanwhile
		if asked.Add(1) == 1 {
			return down
		}
		return nil
	}}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var probes sync.WaitGroup
	for range 50 {
		probes.Go(func() {
			if err := answer.get(gone); !errors.Is(err, down) {
				t.Errorf("a probe hears %v", err)
			}
		})
	}
	probes.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("50 probes at once asked %d times", n)
	}
	answer.until = time.Time{} // the "no" has been repeated long enough
	for range 3 {
		if err := answer.get(t.Context()); err != nil {
			t.Errorf("a database that came back: %v", err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want one more", n)
	}
}

func TestReadinessKnowsTheSchema(t *testing.T) {
	a, _ := running(t, nil)
	// Another release has moved on, to where this one cannot follow.
	for _, statement := range []string{`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`,
		`UPDATE installation SET value = 9999 WHERE name = 'serves_from'`} {
		storagetest.ExecSQLite(t, a.config.Database.Path, statement)
	}
	w := httptest.NewRecorder()
	a.internalHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "schema") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestProfilesAreOffAndNeverPublic(t *testing.T) {
	for _, on := range []bool{false, true} {
		a, _ := running(t, func(c *Config) { c.Server.PProf = on })
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/symbol"} {
			ask := func(h http.Handler) int {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				return w.Code
			}
			if code := ask(a.internalHandler()); (code == http.StatusOK) != on {
				t.Errorf("server.pprof %v, %s on the internal listener: %d", on, path, code)
			}
			if code := ask(a.Handler()); code != http.StatusNotFound {
				t.Errorf("server.pprof %v, %s on the public listener: %d", on, path, code)
			}
		}
	}
}

// logged runs do with a logger of JSON lines and returns them.
func logged(t *testing.T, level slog.Level, do func(*slog.Logger)) (lines []map[string]any) {
	t.Helper()
	var out bytes.Buffer
	do(slog.New(inContext{slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level})}))
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("a line is no JSON object: %v: %q", err, line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestLOG04_LinesOfARequestNameItsLogin(t *testing.T) {
	ctx := reqinfo.With(t.Context(), reqinfo.Info{CorrelationID: "of the request"})
	reqinfo.Join(ctx, "of the\nlogin")
	lines := logged(t, slog.LevelInfo, func(l *slog.Logger) {
		l.With("room", "x").WarnContext(ctx, "something\"odd", "err", errors.New("a\r\nb"))
		l.Warn("outside")
	})
	if len(lines) != 2 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	if l := lines[0]; l["correlation_id"] != "of the\nlogin" || l["room"] != "x" || l["err"] != "a\r\nb" {
		t.Errorf("line of a request: %v", l)
	}
	if _, found := lines[1]["correlation_id"]; found {
		t.Errorf("line outside of a request: %v", lines[1])
	}
}

func TestLOG03_RequestLogTellsTheRouteAndNoQuery(t *testing.T) {
	a := idp.Answer{Method: "GET", Route: "/authorize", Status: 303, Took: 1234567 * time.Nanosecond}
	stream := idp.Answer{Method: "GET", Route: "/login/passcode/events", Status: 200, Took: time.Minute, Stream: true}
	for configured, want := range map[string]map[slog.Level]int{
		"debug": {slog.LevelDebug: 2, slog.LevelInfo: 0},
		"info":  {slog.LevelDebug: 2, slog.LevelInfo: 2, slog.LevelWarn: 0},
		"off":   {slog.LevelDebug: 0},
	} {
		for level, n := range want {
			lines := logged(t, level, func(l *slog.Logger) {
				app := &App{Base: &Base{log: l}, metrics: newMetrics("test")}
				app.config.Log.Requests = configured
				observe := app.observe()
				observe(t.Context(), a)
				observe(t.Context(), stream)
			})
			if len(lines) != n {
				t.Fatalf("log.requests %s at level %v: %d lines, want %d", configured, level, len(lines), n)
			}
			if n == 0 {
				continue
			}
			var names []string
			for name := range lines[0] {
				names = append(names, name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != "level method ms msg route status time" || lines[0]["ms"] != 1.23 {
				t.Errorf("a line has %s: %v", got, lines[0])
			}
		}
	}
}

func TestTracingSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // empty for none
	}{
		"off":                   {func(*Config) {}, ""},
		"a collector":           {func(c *Config) { c.Tracing.Endpoint = "https://collector.test:4318" }, ""},
		"one on this machine":   {func(c *Config) { c.Tracing.Endpoint = "http://127.0.0.1:4318" }, ""},
		"with headers":          {func(c *Config) { c.Tracing.Endpoint, c.Tracing.Headers = "https://c.test", NewSecret("x-key=a=b, y=c") }, ""},
		"over a network, clear": {func(c *Config) { c.Tracing.Endpoint = "http://collector.test:4318" }, "https"},
		"a password in the address": {func(c *Config) { c.Tracing.Endpoint = "https://u:p@collector.test" },
			"without user"},
		"headers for nobody": {func(c *Config) { c.Tracing.Headers = NewSecret("a=b") }, "tracing.endpoint is empty"},
		"a header of two lines": {func(c *Config) {
			c.Tracing.Endpoint, c.Tracing.Headers = "https://c.test", NewSecret("a=hidden\r\nb: c")
		},
			"name=value"},
		"more than all": {func(c *Config) { c.Tracing.SampleRatio = 1.5 }, "sample_ratio"},
		"traces of nobody": {func(c *Config) { c.Tracing.AcceptTraceparent, c.Server.TrustedProxies = true, nil },
			"trusted_proxies is empty"},
		"profiles for nobody": {func(c *Config) { c.Server.PProf, c.Server.InternalListen = true, "" }, "server.pprof"},
		"a log of nothing":    {func(c *Config) { c.Log.Requests = "trace" }, "log.requests"},
	} {
		t.Run(name, func(t *testing.T) {
			config := complete()
			c.change(&config)
			err := config.Check()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden")):
				t.Errorf("got %v, want a sentence about %s", err, c.want)
			}
		})
	}
	headers, err := Tracing{Headers: NewSecret("x-key=a=b, y=c")}.headers()
	if err != nil || headers["X-Key"] != "a=b" || headers["Y"] != "c" || len(headers) != 2 {
		t.Errorf("headers %v, %v", headers, err)
	}
}

func TestDOS08_CollectorThatTakesNothingKeepsNobodyWaiting(t *testing.T) {
	release := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer collector.Close()
	defer close(release)
	b := &Base{log: slog.New(slog.DiscardHandler)}
	b.config.Tracing = Tracing{Endpoint: collector.URL, SampleRatio: 1}
	m := newMetrics("test")
	tracer, _, err := b.traces(m)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const made = 2 * mostSpans
	for range made {
		_, span := tracer.Request(t.Context(), http.MethodGet, "", began)
		span.Answered("/login", http.StatusOK, "")
	}
	if took := time.Since(began); took > 15*time.Second { // which is less than the collector's first time-outs
		t.Errorf("%d requests took %s", made, took)
	}
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if want := fmt.Sprintf("parola_spans_total{outcome=\"lost\"} %d\n", made-mostSpans); !strings.Contains(w.Body.String(), want) {
		t.Errorf("metrics lack %s", want)
	}
}

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/app"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

const (
	alertRules = "../deploy/prometheus/alerts.yml"
	alertTests = "../deploy/prometheus/alerts_test.yml"
	dashboard  = "../deploy/grafana/parola.json"
)

// unprovoked are values that alarms wait for and that a good day does not bring: what the code calls them.
var unprovoked = map[string][]string{
	"outcome": {"unknown"},
	"state":   {string(storage.VerdictEnforce)},
}

// TestDashboardAndAlarmsAskForWhatExists runs a provider through a login by each channel, and what else brings series about,
// and looks for every metric, label and value that the dashboard and the alarms ask for among what it then tells: a name that
// is misspelt there is an alarm that never comes.
func TestDashboardAndAlarmsAskForWhatExists(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{Internal: true})
	in.Run(nil)
	for _, channel := range []string{"whatsapp", "sms"} {
		who := in.Person("edsger")
		if channel == "sms" {
			who.Phone.Switch(`"no_whatsapp":"webhook"`)
		}
		request := in.RelyingParty(harness.WebClient).Begin()
		in.RelyingParty(harness.WebClient).AuthCode(t, in.Browser().Login(request.URL, who, channel), request)
	}
	probe{method: http.MethodPost, path: "/webhooks/whatsapp", body: "{}", status: http.StatusUnauthorized}.send(t, in.Issuer)
	in.Command(func(ctx context.Context, b *app.Base) error {
		if _, err := b.Overrule(ctx, "+393339", "", string(storage.OverrideBlock)); err != nil {
			return err
		}
		return b.HoldCircuit(ctx, mfa.CountryCircuit(storage.WhatsApp, "ZW"))
	})
	queries := slices.Concat(alarmQueries(t), dashboardQueries(t))
	if len(queries) < 70 {
		t.Fatalf("%d queries were found: they are not understood", len(queries))
	}
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Errorf("there is no %s", strings.Join(slices.Compact(missing), ", nor "))
		}
	}()
	harness.Eventually(t, 20*time.Second, "every metric that is asked for is there", func() bool {
		missing = nil
		told := scrape(t, in)
		for _, q := range queries {
			missing = append(missing, told.lacks(q)...)
		}
		return len(missing) == 0
	})
}

// series are metrics by name with the values of each label. A label that Prometheus adds has any value.
type series map[string]map[string][]string

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? `)
	labelPair  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)
	selector   = regexp.MustCompile(`\b((?:parola|process|go|up)[a-z_]*)\b(?:\{([^}]*)\})?`)
	grouping   = regexp.MustCompile(`\b(?:by|on|without) \(([^)]*)\)`)
)

func scrape(t *testing.T, in *harness.Installation) series {
	t.Helper()
	resp, err := http.Get("http://" + in.Config.Server.InternalListen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %d, %v", resp.StatusCode, err)
	}
	told := series{"up": {}}
	for line := range strings.Lines(string(body)) {
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if told[m[1]] == nil {
			told[m[1]] = map[string][]string{}
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			told[m[1]][pair[1]] = append(told[m[1]][pair[1]], pair[3])
		}
	}
	return told
}

// lacks lists what a query asks for and does not exist.
func (told series) lacks(query string) (missing []string) {
	labels := map[string]bool{"job": true, "instance": true}
	for _, m := range selector.FindAllStringSubmatch(query, -1) {
		known, exists := told[m[1]]
		if !exists {
			missing = append(missing, m[1])
			continue
		}
		for label := range known {
			labels[label] = true
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if label := pair[1]; label != "job" && label != "instance" && !has(known[label], label, pair[2], pair[3]) {
				missing = append(missing, fmt.Sprintf("%s{%s}", m[1], pair[0]))
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			if !labels[strings.TrimSpace(label)] {
				missing = append(missing, fmt.Sprintf("the label %s of %s", label, query))
			}
		}
	}
	return missing
}

// has says whether a matcher can ever match: each of the words it names is a value that the label has or may have. An
// expression that is no list of words needs the label only.
func has(values []string, label, operator, wanted string) bool {
	if values == nil {
		return false
	}
	words := []string{wanted}
	if operator == "=~" || operator == "!~" {
		words = strings.Split(wanted, "|")
	}
	for _, word := range words {
		if !strings.ContainsAny(word, ".*+[(\\") && !slices.Contains(values, word) && !slices.Contains(unprovoked[label], word) {
			return false
		}
	}
	return true
}

// alarmQueries are the expressions of the rules, of one line or several.
func alarmQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^        expr: (?:\|\n((?:          .*\n)+)|(.*)\n)`).FindAllStringSubmatch(string(text), -1) {
		queries = append(queries, m[1]+m[2])
	}
	if alarms := strings.Count(string(text), "- alert:"); len(queries) != alarms {
		t.Fatalf("%d expressions of %d alarms were found", len(queries), alarms)
	}
	return queries
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$job", "parola").Replace(target.Expr))
		}
	}
	return queries
}

// TestAlarmsAsPrometheusReadsThem has Prometheus's own tool read the rules, run their tests, and read the dashboard's queries.
func TestAlarmsAsPrometheusReadsThem(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		storagetest.SkipLoudly(t, "alarms and dashboard are not read by Prometheus", "promtool is in Debian's package prometheus")
	}
	var rules strings.Builder
	rules.WriteString("groups: [{name: dashboard, rules: [\n")
	for i, q := range dashboardQueries(t) {
		quoted, _ := json.Marshal(q) // a string in JSON is one in YAML
		fmt.Fprintf(&rules, "{record: panel:%d, expr: %s},\n", i, quoted)
	}
	rules.WriteString("]}]\n")
	panels := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(panels, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", alertRules, panels}, {"test", "rules", alertTests}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests, err := os.ReadFile(alertTests)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(alertRules)
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(text), -1) {
		if n := strings.Count(string(tests), "alertname: "+m[1]+"\n") + strings.Count(string(tests), "alertname: "+m[1]+","); n < 2 {
			t.Errorf("%s is not tested both quiet and firing", m[1])
		}
	}
}

package parola_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	relativeLink = regexp.MustCompile(`\]\(([^)#:]+)(?:#([^)]*))?\)`)
	metricName   = regexp.MustCompile(`parola_[a-z_]+_(?:seconds|total|info)`)
	// declaredMetric is one where it is made.
	declaredMetric = regexp.MustCompile(`(?:Name: |describe\()"(parola_[a-z_]+)"`)
	// setting is a configuration key as documents name one: `mfa.template_ttl`.
	setting = regexp.MustCompile("`((?:server|database|secrets|keys|whatsapp|sms|mfa|limits|lifetimes|password|brand|outbound|retention|tracing|log)(?:\\.[a-z_]+)+)`")
	keyLine = regexp.MustCompile(`^( *)(?:# )?([a-z_]+):`)
)

// documents are the Markdown files of the repository by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		b, err := os.ReadFile(path)
		texts[filepath.ToSlash(path)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	for path, text := range documents(t) {
		for _, m := range relativeLink.FindAllStringSubmatch(text, -1) {
			target := filepath.Join(filepath.Dir(path), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			linked, err := os.ReadFile(target)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(anchors(string(linked)), m[2]) {
				t.Errorf("%s links to %s#%s, which has no such heading", path, m[1], m[2])
			}
		}
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}

func TestDocumentsNameMetricsThatExist(t *testing.T) {
	sources, err := filepath.Glob("internal/app/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var exist, declared []string
	for _, path := range sources {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			exist = append(exist, metricName.FindAllString(string(source), -1)...)
			for _, m := range declaredMetric.FindAllStringSubmatch(string(source), -1) {
				declared = append(declared, m[1])
			}
		}
	}
	texts := documents(t)
	for path, text := range texts {
		for _, name := range metricName.FindAllString(text, -1) {
			if !slices.Contains(exist, name) {
				t.Errorf("%s names %s, which internal/app does not have", path, name)
			}
		}
	}
	for _, name := range declared {
		if !strings.Contains(texts["docs/operations.md"], "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
}

func TestDocumentsNameSettingsThatExist(t *testing.T) {
	template, err := os.ReadFile("internal/app/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exist := settings(string(template))
	if !exist["mfa.template_ttl"] || !exist["sms.twilio.account_sid"] {
		t.Fatalf("internal/app/config.yaml is not understood: %v", slices.Sorted(maps.Keys(exist)))
	}
	for path, text := range documents(t) {
		for _, m := range setting.FindAllStringSubmatch(text, -1) {
			if !exist[m[1]] {
				t.Errorf("%s names the setting %s, which internal/app/config.yaml does not have", path, m[1])
			}
		}
	}
}

// settings are the keys of the configuration file, those that are commented out too.
func settings(template string) map[string]bool {
	keys := make(map[string]bool)
	var path []string
	for line := range strings.Lines(template) {
		m := keyLine.FindStringSubmatch(line)
		if m == nil || len(m[1])/2 > len(path) {
			continue
		}
		path = append(path[:len(m[1])/2], m[2])
		keys[strings.Join(path, ".")] = true
	}
	return keys
}

// TestEveryAlarmIsExplained holds the rules and their runbook together.
func TestEveryAlarmIsExplained(t *testing.T) {
	rules, err := os.ReadFile("deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	runbook := documents(t)["docs/alarms.md"]
	var alarms, explained []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		alarms = append(alarms, m[1])
		if url := "/docs/alarms.md#" + strings.ToLower(m[1]) + "\n"; !strings.Contains(string(rules), url) {
			t.Errorf("%s leads to no runbook", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(runbook, -1) {
		explained = append(explained, m[1])
	}
	if !slices.Equal(alarms, explained) {
		t.Errorf("the alarms are %q, docs/alarms.md explains %q", alarms, explained)
	}
}

package parola_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	kindConstant = regexp.MustCompile(`(?m)^\s+(\w+)\s+= "([a-z_]+(?:\.[a-z_]+)+)"`)
	kindSeverity = regexp.MustCompile(`(\w+): (Info|Warning|High)\b`)
	kindRow      = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (info|warning|high) \\|")
)

// The page is what people write their alarms by.
func TestDocumentsNameTheKindsOfEventsWithTheirSeverities(t *testing.T) {
	source, err := os.ReadFile("internal/audit/kinds.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	severities := make(map[string]string)
	for _, m := range kindSeverity.FindAllStringSubmatch(string(source), -1) {
		severities[m[1]] = strings.ToLower(m[2])
	}
	want := make(map[string]string)
	for _, m := range kindConstant.FindAllStringSubmatch(string(source), -1) {
		want[m[2]] = severities[m[1]]
	}
	if len(want) < 80 || want["authn.otp.identity_changed"] != "high" {
		t.Fatalf("internal/audit/kinds.go is not understood: %d kinds", len(want))
	}
	for _, m := range kindRow.FindAllStringSubmatch(string(page), -1) {
		if want[m[1]] != m[2] {
			t.Errorf("docs/audit-log.md says that %s is %s; internal/audit/kinds.go says %q", m[1], m[2], want[m[1]])
		}
		delete(want, m[1])
	}
	for kind := range want {
		t.Errorf("docs/audit-log.md does not explain %s", kind)
	}
}

package whatsapp_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/whatsapp"
)

var update = flag.Bool("update", false, "rewrite Meta's table in "+codesFile)

const (
	codesFile  = "../../docs/carrier-codes.md"
	tableBegin = "<!-- codes of meta -->\n"
	tableEnd   = "<!-- end of codes -->\n"
)

func TestTheErrorTableIsDocumented(t *testing.T) {
	b, err := os.ReadFile(codesFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), tableBegin)
	documented, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table: write %q and %q", codesFile, tableBegin, tableEnd)
	}
	var want strings.Builder
	want.WriteString("| Code | Class | Speaks of | Meaning |\n| --- | --- | --- | --- |\n")
	for _, c := range whatsapp.Codes() {
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", c.Code, c.Class, c.Scope, c.Meaning)
	}
	if documented == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s does not hold the table of codes.go: run go test ./mfa/whatsapp -run ErrorTable -update", codesFile)
	}
	if err := os.WriteFile(codesFile, []byte(before+tableBegin+want.String()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEachCodeIsClassifiedOnce(t *testing.T) {
	last := -1
	for _, c := range whatsapp.Codes() {
		low, high, isRange := strings.Cut(c.Code, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from <= last || to < from {
			t.Errorf("code %q comes after %d", c.Code, last)
		}
		last = to
		if !slices.Contains([]mfa.Class{mfa.ClassRetry, mfa.ClassFallback, mfa.ClassConfig, mfa.ClassNumber, mfa.ClassAlert}, c.Class) ||
			!slices.Contains([]mfa.Scope{mfa.ScopeMessage, mfa.ScopeCountry, mfa.ScopeCarrier}, c.Scope) || c.Meaning == "" {
			t.Errorf("%+v", c)
		}
	}
}

var line = regexp.MustCompile(`^\| (\d+)(?:-(\d+))? \| (\w) \| (\w+) \|`)

// The document is read back, so that it, the answer to a send and the webhook are known to say the same.
func TestACodeMeansTheSameInAnAnswerAndInAWebhook(t *testing.T) {
	b, err := os.ReadFile(codesFile)
	if err != nil {
		t.Fatal(err)
	}
	documented, _, _ := strings.Cut(string(b), tableEnd)
	var lines int
	for text := range strings.Lines(documented) {
		m := line.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		lines++
		for _, code := range slices.DeleteFunc(m[1:3], func(s string) bool { return s == "" }) {
			want := mfa.Failure{Class: mfa.Class(m[3]), Code: code, Scope: mfa.Scope(m[4])}
			if got := refusedWith(t, 400, `{"error":{"code":`+code+`}}`); got.Failure != want || !got.NotSent {
				t.Errorf("answered: %+v, want %+v", got, want)
			}
			if got := refusedWith(t, 503, `{"error":{"code":`+code+`,"is_transient":true}}`); got.Failure != want {
				t.Errorf("answered with another status: %+v, want %+v", got, want)
			}
			reports, _, _ := heard(t, newChannel(t, channeltest.Env{CarrierURL: "https://example.com"}),
				envelope(`"statuses":[{"id":"wamid.1","status":"failed","errors":[{"code":`+code+`}]}]`))
			if len(reports) != 1 || reports[0].Failure != want {
				t.Errorf("reported: %+v, want %+v", reports, want)
			}
		}
	}
	if lines < 70 {
		t.Errorf("%d codes are documented", lines)
	}
}

func TestAnUnknownCodeMayWorkInAMomentOnlyWhenMetaSaysSo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		answer string
		want   mfa.Failure
	}{
		{"neither", 400, `{"error":{"code":999999}}`, mfa.Failure{Class: mfa.ClassConfig, Code: "999999", Scope: mfa.ScopeMessage}},
		{"transient", 400, `{"error":{"code":999999,"is_transient":true}}`, mfa.Failure{Class: mfa.ClassRetry, Code: "999999", Scope: mfa.ScopeMessage}},
		{"the server's fault", 500, `{"error":{"code":999999}}`, mfa.Failure{Class: mfa.ClassRetry, Code: "999999", Scope: mfa.ScopeCarrier}},
		{"an error without a code", 403, `{"error":{}}`, mfa.Failure{Class: mfa.ClassConfig, Code: "http_403", Scope: mfa.ScopeCarrier}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := refusedWith(t, tt.status, tt.answer); got.Failure != tt.want {
				t.Errorf("got %+v, want %+v", got.Failure, tt.want)
			}
		})
	}
}

package sms_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
)

var update = flag.Bool("update", false, "rewrite the SMS carriers' tables in "+codesFile)

const (
	codesFile = "../../docs/carrier-codes.md"
	tableHead = "| Code | Class | Speaks of | Meaning |\n| --- | --- | --- | --- |\n"
	tableEnd  = "<!-- end of codes -->\n"
)

var codesOf = map[string][]mfa.Code{
	"twilio": sms.TwilioCodes(), "vonage": sms.VonageCodes(), "infobip": sms.InfobipCodes(), "aws": sms.AWSCodes(), "kannel": sms.KannelCodes(),
}

func TestTheErrorTablesAreDocumented(t *testing.T) {
	for carrier, codes := range codesOf {
		t.Run(carrier, func(t *testing.T) {
			content, err := os.ReadFile(codesFile)
			if err != nil {
				t.Fatal(err)
			}
			begin := "<!-- codes of " + carrier + " -->\n"
			before, rest, found := strings.Cut(string(content), begin)
			documented, after, ended := strings.Cut(rest, tableEnd)
			if !found || !ended {
				t.Fatalf("%s has no place for the table: write %q and %q", codesFile, begin, tableEnd)
			}
			want := tableHead
			for _, c := range codes {
				want += fmt.Sprintf("| %s | %s | %s | %s |\n", c.Code, c.Class, c.Scope, c.Meaning)
			}
			switch {
			case documented == want:
			case !*update:
				t.Fatalf("%s does not hold the table: run go test ./mfa/sms -run ErrorTables -update", codesFile)
			default:
				if err := os.WriteFile(codesFile, []byte(before+begin+want+tableEnd+after), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestEachCodeIsClassifiedOnce(t *testing.T) {
	classes := []mfa.Class{mfa.ClassRetry, mfa.ClassFallback, mfa.ClassConfig, mfa.ClassNumber}
	scopes := []mfa.Scope{mfa.ScopeMessage, mfa.ScopeCountry, mfa.ScopeCarrier}
	for carrier, codes := range codesOf {
		seen := map[string]bool{}
		for _, c := range codes {
			if seen[c.Code] || c.Code == "" || c.Meaning == "" || !slices.Contains(classes, c.Class) || !slices.Contains(scopes, c.Scope) {
				t.Errorf("%s: %+v", carrier, c)
			}
			if c.Class == mfa.ClassNumber && c.Scope != mfa.ScopeMessage {
				t.Errorf("%s: %s blames the number and more than the message", carrier, c.Code)
			}
			seen[c.Code] = true
		}
	}
}

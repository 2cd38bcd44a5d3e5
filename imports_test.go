package parola_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/parola-id/parola"

// mayImport is the house plan: which of our rooms a room may import. A request walks downstairs and imports point the
// same way. A room that is not here fails the test: give it a line and a reason. Tests may import more.
var mayImport = map[string][]string{
	"": {}, // the map

	"storage":                   {},
	"storage/internal/sqlstore": {"storage"},
	"storage/sqlite":            {"storage", "storage/internal/sqlstore"},
	"storage/postgres":          {"storage", "storage/internal/sqlstore"},
	"storage/storagetest":       {"storage", "storage/internal/sqlstore", "storage/sqlite", "storage/postgres"},

	"templates": {"internal/gsm7"},

	"internal/clock":    {},
	"internal/reqinfo":  {},
	"internal/acr":      {},
	"internal/gsm7":     {}, // what fits into one text message: templates chooses words by it, mfa/sms an encoding
	"internal/secret":   {},
	"internal/username": {},
	// One login through its requests, calls and receipts; everybody who writes a record of it keeps its trace.
	"internal/tracing":      {},
	"internal/tracing/otlp": {},
	"internal/outbound":     {"internal/clock"},
	"internal/audit":        {"storage", "internal/clock", "internal/secret", "internal/tracing"},
	"internal/throttle":     {"storage", "internal/secret"},
	// What messages cost, and what became of them: they read what mfa has written, and mfa asks them by its own interfaces.
	"internal/rates":  {"storage", "internal/audit", "internal/clock"},
	"internal/ledger": {"storage", "internal/audit", "internal/clock"},
	"internal/fraud":  {"storage", "mfa", "internal/audit", "internal/clock"},

	"mfa":             {"storage", "internal/audit", "internal/clock", "internal/reqinfo", "internal/secret", "internal/throttle", "internal/tracing"},
	"mfa/whatsapp":    {"mfa", "templates", "internal/audit", "internal/clock"}, // audit: the severities of bulletins
	"mfa/sms":         {"mfa", "templates", "internal/clock", "internal/gsm7"},
	"mfa/channeltest": {"mfa", "templates", "internal/clock"},

	"idp/session":  {"storage", "internal/audit", "internal/clock", "internal/reqinfo", "internal/secret"},
	"idp/signing":  {"storage", "internal/audit", "internal/clock", "internal/secret"},
	"idp/password": {"storage", "internal/clock", "internal/secret"},
	"idp/oidc": {"storage", "internal/acr", "internal/audit", "internal/clock", "internal/outbound", "internal/reqinfo",
		"internal/secret", "internal/throttle", "internal/tracing", "idp/session", "idp/signing"},
	"idp/login": {"storage", "mfa", "templates", "idp/session", "idp/password", "internal/acr", "internal/audit",
		"internal/clock", "internal/reqinfo", "internal/secret", "internal/throttle", "internal/tracing", "internal/username"},
	"idp": {"storage", "templates", "idp/login", "idp/oidc", "idp/session", "internal/audit", "internal/clock",
		"internal/reqinfo", "internal/throttle", "internal/tracing"},

	"internal/app": {"*"}, // the wiring; see neverImport
	"cmd/parola":   {"internal/app", "storage", "internal/*"},
}

// neverImport holds what a wildcard above must not reach.
var neverImport = map[string][]string{
	"internal/app": {"cmd/parola", "examples"},
}

// outside are libraries with one door: only these rooms may import them.
var outside = map[string][]string{
	"github.com/ory/fosite":       {"idp/oidc"},
	"github.com/alexedwards/scs":  {"idp/session", "examples/webapp"},
	"modernc.org/sqlite":          {"storage/sqlite"},
	"github.com/jackc/pgx":        {"storage/postgres", "storage/storagetest"},
	"github.com/pressly/goose":    {"storage/internal/sqlstore", "storage/sqlite", "storage/postgres"},
	"github.com/nyaruka":          {"mfa"},
	"github.com/alecthomas/kong":  {"cmd/parola"},
	"go.yaml.in/yaml":             {"internal/app"},
	"github.com/prometheus":       {"internal/app"},
	"go.opentelemetry.io":         {"internal/tracing", "internal/app"},
	"golang.org/x/crypto/argon2":  {"idp/password"},
	"golang.org/x/crypto/bcrypt":  {"idp/password"},
	"github.com/coreos/go-oidc":   {"examples/webapp", "examples/cliapp/native", "examples/cliapp", "examples/api"},
	"github.com/chromedp":         {},
	"database/sql":                {"storage/internal/sqlstore", "storage/sqlite", "storage/postgres", "storage/storagetest", "bench/check", "bench/load"},
	"html/template":               {"templates", "idp", "examples/webapp", "examples/handset"},
	"github.com/go-jose/go-jose":  {"idp/oidc", "idp/signing", "internal/outbound", "examples/api"},
	"github.com/stretchr/testify": {},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestRoomsImportOnlyWhatTheHousePlanAllows(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		example := strings.HasPrefix(room, "examples/")
		allowed, planned := mayImport[room]
		if !planned && !example && !strings.HasPrefix(room, "e2e") && !strings.HasPrefix(room, "bench") {
			t.Errorf("room %s is not in the house plan: say what it may import and why it exists", room)
			continue
		}
		for _, path := range p.Imports {
			checkOutside(t, room, path)
			inner, ours := strings.CutPrefix(path, module+"/")
			switch {
			case !ours:
			case example:
				// Relying parties speak to Parola over HTTP alone; the demo starts the provider.
				demo := strings.HasPrefix(room, "examples/demo") && inner == "internal/app"
				if !strings.HasPrefix(inner, "examples/") && !demo {
					t.Errorf("%s imports %s: examples know nothing of the provider's inside", room, inner)
				}
			case planned && (!matches(allowed, inner) || matches(neverImport[room], inner)):
				t.Errorf("%s imports %s: the house plan does not allow it", room, inner)
			}
		}
	}
}

func checkOutside(t *testing.T, room, path string) {
	t.Helper()
	for library, doors := range outside {
		if (path == library || strings.HasPrefix(path, library+"/")) && !slices.ContainsFunc(doors, func(d string) bool {
			return room == d || strings.HasPrefix(room, d+"/")
		}) {
			t.Errorf("%s imports %s: the door to it is %v", room, path, doors)
		}
	}
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, wild := strings.CutSuffix(p, "*"); wild {
			return strings.HasPrefix(path, prefix)
		}
		return path == p || (p == "examples" && strings.HasPrefix(path, "examples/"))
	})
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
}

package storagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outcome is a test that remembers how it ended instead of ending.
type outcome struct {
	testing.TB
	failed, skipped bool
}

func (o *outcome) Helper() {}

func (o *outcome) Fatalf(string, ...any) {
	o.failed = true
	panic(o)
}

func (o *outcome) Skip(...any) {
	o.skipped = true
	panic(o)
}

func TestWhatIsMissingSkipsAtHomeAndFailsInTheGate(t *testing.T) {
	for value, fails := range map[string]bool{"": false, "1": true, "true": true} {
		t.Setenv("PAROLA_CI", value)
		o := &outcome{TB: t}
		func() {
			defer func() { _ = recover() }() // how a test is ended here
			SkipLoudly(o, "THE TEST OF SKIPPING, all is well", "nothing to do")
		}()
		if o.failed != fails || o.skipped == fails {
			t.Errorf("PAROLA_CI=%q: failed %v, skipped %v", value, o.failed, o.skipped)
		}
	}
}

func TestTheTerminalIsToldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terminal")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		sayOnce(path, "SKIPPED: something")
	}
	sayOnce(filepath.Join(t.TempDir(), "none"), "SKIPPED: where there is no terminal")
	got, err := os.ReadFile(path)
	if err != nil || strings.Count(string(got), "\n") != 1 || !strings.Contains(string(got), "something") {
		t.Errorf("the terminal was told %q (%v)", got, err)
	}
}

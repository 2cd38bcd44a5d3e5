package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/e2e/turn"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestMain lets this program be the servers that are killed.
func TestMain(m *testing.M) {
	rig.Child()
	if err := turn.Shared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestREL04_KilledAtInstantsThatNobodyChose is the program in small.
func TestREL04_KilledAtInstantsThatNobodyChose(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	for name, dsn := range map[string]func(testing.TB) string{
		"one node on SQLite":      func(testing.TB) string { return "" },
		"two nodes on PostgreSQL": storagetest.EmptyPostgresDSN,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			figures, found, err := run(t.Context(), options{kills: 5, workers: 8, seed: 7, dsn: dsn(t)}, &out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			held := check.Report(&out, figures, found)
			t.Log(out.String())
			if !held || !strings.HasSuffix(out.String(), "\ninvariants held\n") {
				t.Error("an invariant is broken")
			}
			for _, what := range []string{"kills", "AuthCodes redeemed", "refreshes"} {
				if figures[what] == 0 {
					t.Errorf("nothing was tried: %s: 0", what)
				}
			}
		})
	}
}

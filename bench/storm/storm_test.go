package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/e2e/turn"
)

// TestMain lets this program be the server that a storm starts and kills.
func TestMain(m *testing.M) {
	rig.Child()
	if err := turn.Shared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestStormHoldsAfterASmallRun is the storm in small: what breaks an invariant once in a hundred logins shows here.
func TestStormHoldsAfterASmallRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	var out bytes.Buffer
	o := options{challenges: 100, kills: 1, workers: 100, seed: 7, passcodeLife: 30 * time.Second}
	figures, found, err := run(t.Context(), o, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	held := check.Report(&out, figures, found)
	t.Log(out.String())
	if !held || !strings.HasSuffix(out.String(), "\ninvariants held\n") {
		t.Error("an invariant is broken")
	}
	for _, what := range []string{"people: signed in", "messages by sms", "automatic SMS because of undeliverable", "kills of the server"} {
		if figures[what] == 0 {
			t.Errorf("no storm: %s: 0", what)
		}
	}
}

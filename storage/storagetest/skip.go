package storagetest

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// terminal is the terminal that the tests were started from, whatever their output goes to.
const terminal = "/dev/tty"

// SkipLoudly skips a test for want of something outside this repository: what is not tested, and how that is put right.
// Under PAROLA_CI, whatever its value, nothing is skipped: the test fails. go test shows skips with -v alone, so the
// terminal, where there is one, gets a line as well; once per test binary, however many tests want the same.
func SkipLoudly(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("PAROLA_CI") != "" {
		t.Fatalf("%s: %s", what, how)
	}
	said := fmt.Sprintf("SKIPPED: %s (%s)", what, how)
	sayOnce(terminal, said)
	t.Skip(said)
}

var said sync.Map // what the terminal was told

func sayOnce(path, line string) {
	if _, before := said.LoadOrStore(path+line, true); before {
		return
	}
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return // no terminal: whoever reads the output has -v
	}
	defer out.Close()
	fmt.Fprintln(out, line)
}

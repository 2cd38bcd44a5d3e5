// Package harness drives Parola from outside, for the tests of e2e: it builds the programs once per test run and starts
// them ([Demo], [Installation.Serve]), or runs a provider in the test process on a real socket ([Installation.Run]); it
// has a browser without JavaScript ([Browser]), a person's phone ([Phone]) and a relying party ([RelyingParty]).
//
// It knows URLs, forms and the words on pages, never a room of idp or mfa: what it cannot see, no one outside can. The
// wiring is left to internal/app, which gets a configuration file like any operator's.
package harness

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// scratch holds the built programs; it is gone when the tests are over.
var scratch string

// Main runs the tests of a package that uses this one, when wait says that it is their turn (Alone and Shared of e2e/turn):
// call it from TestMain and exit with what it returns. Tests here mostly wait, so that more of them run at a time than there are processors, unless -parallel says otherwise.
func Main(m *testing.M, wait func() error) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(waiting)); err != nil {
			fmt.Fprintln(os.Stderr, "harness:", err)
			return 1
		}
	}
	err := wait()
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp("", "parola-e2e-")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	return m.Run()
}

// waiting is how many tests may wait at the same time.
const waiting = 10

var (
	buildsMu sync.Mutex
	builds   = map[string]func() (string, error){}
)

// Program builds a main package of this module, such as "cmd/parola", once per test run, and returns the path of the
// program.
func Program(t testing.TB, dir string) string {
	t.Helper()
	buildsMu.Lock()
	build, known := builds[dir]
	if !known {
		build = sync.OnceValues(func() (string, error) {
			path := filepath.Join(scratch, filepath.Base(dir))
			command := exec.Command("go", "build", "-o", path, "./"+dir)
			command.Dir = root()
			if out, err := command.CombinedOutput(); err != nil {
				return "", fmt.Errorf("build %s: %w\n%s", dir, err, out)
			}
			return path, nil
		})
		builds[dir] = build
	}
	buildsMu.Unlock()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// root is the directory of go.mod above the working directory, which go test sets to the package's.
func root() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
	}
	return dir
}

var (
	portsMu sync.Mutex
	given   = map[int]bool{}
)

// Ports returns the first of n consecutive free loopback ports. They lie below those that systems give to outgoing
// connections, so that none of these takes one meanwhile.
func Ports(t testing.TB, n int) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 200 {
		base := 12000 + 4*rand.IntN(4500)
		if !given[base] && free(base, n) {
			given[base] = true
			return base
		}
	}
	t.Fatal("no free ports on the loopback")
	return 0
}

func free(base, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", Loopback(base+i))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// Loopback is a port's address.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Eventually polls until done says true, or fails the test when that takes longer than within.
func Eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(within); ; {
		if done() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

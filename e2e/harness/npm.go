package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/parola-id/parola/storage/storagetest"
)

// Need returns the path of a program; the test is skipped loudly where it is missing, and fails under PAROLA_CI.
func Need(t testing.TB, program, why string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(t, fmt.Sprintf("no %s: %s", program, why))
	}
	return path
}

// Missing skips the test for want of something outside this repository, or fails it under PAROLA_CI.
func Missing(t testing.TB, what string) {
	t.Helper()
	storagetest.SkipLoudly(t, what, ".ci/run installs everything on Debian")
}

var (
	installsMu sync.Mutex
	installs   = map[string]func() (string, error){}
)

// NodeModules installs what package-lock.json in dir pins, once per test run, into a directory of the test run, and
// returns that directory. No install script of any package is run.
func NodeModules(t testing.TB, dir string) string {
	t.Helper()
	npm := Need(t, "npm", "it installs what "+dir+"/package-lock.json pins")
	installsMu.Lock()
	install, known := installs[dir]
	if !known {
		install = sync.OnceValues(func() (string, error) { return npmInstall(npm, dir) })
		installs[dir] = install
	}
	installsMu.Unlock()
	to, err := install()
	if err != nil {
		Missing(t, err.Error())
	}
	return to
}

func npmInstall(npm, dir string) (string, error) {
	to := filepath.Join(scratch, "npm-"+filepath.Base(dir))
	if err := os.CopyFS(to, os.DirFS(filepath.Join(root(), dir))); err != nil {
		return "", fmt.Errorf("copy %s: %w", dir, err)
	}
	command := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	command.Dir = to
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci for %s: %w\n%s", dir, err, out)
	}
	return to, nil
}

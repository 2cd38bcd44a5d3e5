package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/e2e/turn"
)

// room is a directory for all tests that other users can get to: sandboxes are made by the user that runs in them.
var room string

func TestMain(m *testing.M) { os.Exit(inRoom(m)) }

func inRoom(m *testing.M) int {
	var err error
	if room, err = os.MkdirTemp("/tmp", "parola-deploy-"); err == nil {
		defer os.RemoveAll(room)
		err = os.Chmod(room, 0o711)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		return 1
	}
	return harness.Main(m, turn.Shared)
}

// nobody is the user that the images name.
const nobody = "65532:65532"

// shared is a directory of one test in the room.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(room, "")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// giveAway makes files those of nobody, where the test may do that; otherwise its own user is the one in the sandbox.
func giveAway(t *testing.T, paths ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	for _, path := range paths {
		if err := os.Chown(path, 65532, 65532); err != nil {
			t.Fatal(err)
		}
	}
}

type bind struct {
	from, to string
	writable bool
}

// container is a sandbox of bubblewrap, which is like a container in all that our files say of one: a root of its own with
// what the image holds, read-only or not, a user, no capabilities and no way to get any, and these files and variables.
// The network is that of the test.
type container struct {
	// image is parola or demo; or host, which has the programs of this machine below /usr.
	image       string
	out         string // see built
	user        string // uid:gid
	readOnly    bool
	binds       []bind
	tmpfs       []string
	environment map[string]string
}

// command is the line that runs a program in the sandbox. A test of root becomes the user first; any other test runs as
// its own user, who has the wanted number inside.
func (c container) command(t *testing.T, args ...string) []string {
	t.Helper()
	uid, gid, _ := strings.Cut(c.user, ":")
	var line []string
	if os.Geteuid() == 0 {
		line = append(line, "setpriv", "--reuid="+uid, "--regid="+gid, "--clear-groups")
	}
	line = append(line, harness.Need(t, "bwrap", "it is what containers are run in here"), "--die-with-parent", "--new-session", "--unshare-user", "--unshare-pid",
		"--unshare-ipc", "--cap-drop", "ALL", "--uid", uid, "--gid", gid, "--proc", "/proc", "--dev", "/dev", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin")
	switch c.image {
	case "parola":
		line = append(line, "--ro-bind", filepath.Join(c.out, "parola"), "/usr/bin/parola", "--dir", "/var/lib/parola",
			"--setenv", "PAROLA_CONFIG", "/etc/parola/parola.yaml")
	case "demo":
		line = append(line, "--ro-bind", filepath.Join(c.out, "demo"), "/usr/bin")
	case "host":
		line = append(line, "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
			"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
	}
	for _, path := range c.tmpfs {
		line = append(line, "--tmpfs", path)
	}
	for _, b := range c.binds {
		flag := "--ro-bind"
		if b.writable {
			flag = "--bind"
		}
		line = append(line, flag, b.from, b.to)
	}
	for name, value := range c.environment {
		line = append(line, "--setenv", name, value)
	}
	if c.image == "parola" {
		line = append(line, "--chdir", "/var/lib/parola")
	}
	if c.readOnly {
		line = append(line, "--remount-ro", "/")
	}
	line = append(line, "--")
	if c.image == "parola" && args[0] != "/usr/bin/parola" {
		line = append(line, "/usr/bin/parola") // the entry point
	}
	return append(line, args...)
}

// start starts a program that is killed when the test ends.
func (c container) start(t *testing.T, args ...string) *harness.Process {
	t.Helper()
	line := c.command(t, args...)
	return harness.Start(t, nil, line[0], line[1:]...)
}

// run runs a program to its end and returns what it said.
func (c container) run(t *testing.T, args ...string) string {
	t.Helper()
	line := c.command(t, args...)
	return harness.Run(t, line[0], line[1:]...)
}

// succeeds runs a program to its end.
func (c container) succeeds(t *testing.T, args ...string) bool {
	t.Helper()
	line := c.command(t, args...)
	return exec.Command(line[0], line[1:]...).Run() == nil
}

// healthy runs the HEALTHCHECK of an image.
func (c container) healthy(t *testing.T, s stage) bool {
	t.Helper()
	check := s.all("HEALTHCHECK")
	if len(check) != 1 {
		t.Fatalf("HEALTHCHECK: %v", check)
	}
	_, list, _ := strings.Cut(check[0], "CMD ")
	var args []string
	if err := json.Unmarshal([]byte(list), &args); err != nil {
		t.Fatalf("HEALTHCHECK %s: %v", check[0], err)
	}
	return c.succeeds(t, args...)
}

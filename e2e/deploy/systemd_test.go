package deploy

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

const unit = repository + "/deploy/systemd/parola.service"

// setting is the last value of a key of the unit.
func setting(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), key+"="); is {
			values = append(values, value)
		}
	}
	if values == nil {
		t.Fatalf("the unit has no %s", key)
	}
	return values
}

func systemdAnalyze(t *testing.T, args ...string) (said string, err error) {
	t.Helper()
	out, err := exec.Command(harness.Need(t, "systemd-analyze", "it judges the unit for systemd"), args...).CombinedOutput()
	return string(out), err
}

func TestUnitIsUnderstoodBySystemd(t *testing.T) {
	t.Parallel()
	harness.Need(t, "systemd-analyze", "it judges the unit for systemd")
	root := t.TempDir()
	program := filepath.Join(root, strings.Fields(setting(t, "ExecStart")[0])[0])
	for path, content := range map[string]string{program: "#!/bin/sh\n", filepath.Join(root, "etc/systemd/system/parola.service"): read(t, unit)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(root, "usr/lib/systemd/system"), os.DirFS("/usr/lib/systemd/system")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "etc/systemd/system/parola.service"), 0o644); err != nil {
		t.Fatal(err)
	}
	// What it does not understand is only a warning.
	if said, err := systemdAnalyze(t, "verify", "--man=no", "--root="+root, "parola.service"); err != nil || said != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
	if said, err := systemdAnalyze(t, "security", "--offline=true", "--no-pager", "--threshold=12", unit); err != nil {
		t.Errorf("the unit exposes more than 1.2 of 10: %v\n%s", err, said)
	}
	for key, want := range map[string]string{"Type": "notify", "TimeoutStopSec": "25s", "User": "parola", "LoadCredential": "root:/etc/parola/root.secret",
		"Environment": "PAROLA_SECRETS_ROOT_FILE=%d/root"} {
		if got := setting(t, key); !slices.Equal(got, []string{want}) {
			t.Errorf("%s=%v, want %s", key, got, want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// common are calls that are made so often that watching each would slow the server down.
var common = []string{"futex", "epoll_pwait", "read", "write", "pread64", "pwrite64", "nanosleep", "madvise", "sched_yield", "getpid", "tgkill", "rt_sigreturn", "fcntl"}

// aCall is one line of strace: process, call, arguments.
var aCall = regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\((.*)$`)

// TestUnitAllowsWhatAServerCalls watches a server through a start, a login and a stop. The unit's restrictions must allow
// every system call and kind of socket that it used, and what they forbid it must not need.
func TestUnitAllowsWhatAServerCalls(t *testing.T) {
	t.Parallel()
	strace := harness.Need(t, "strace", "it tells which system calls a server makes")
	harness.Need(t, "systemd-analyze", "it tells which system calls a unit may make")
	in := harness.Install(t, harness.Options{Internal: true})
	ada := in.Person("ada")
	trace := filepath.Join(t.TempDir(), "trace")
	// -D: the server is our child, and strace its own. What every Go program does all the time is left alone, for speed.
	p := harness.Start(t, nil, strace, "-D", "-f", "--seccomp-bpf", "-e", "trace=!"+strings.Join(common, ","), "-qq", "-s", "0", "-o", trace, filepath.Join(built(t), "parola"), "--config", in.ConfigFile, "serve")
	if line := p.FirstLine(t); !strings.Contains(line, "serves") {
		t.Fatalf("the server said %q\n%s", line, p.Output())
	}
	rp := in.RelyingParty(harness.WebClient)
	a := rp.Begin()
	b := in.Browser()
	authCode := rp.AuthCode(t, b.Login(a.URL, ada, "whatsapp"), a)
	if got, err := rp.Redeem(authCode, a); err != nil || got.Status != 200 {
		t.Fatalf("%+v, %v", got, err)
	}
	if code := p.Stop(t); code != 0 {
		t.Fatalf("exit %d:\n%s", code, p.Output())
	}
	harness.Eventually(t, 10*time.Second, "strace has seen the end", func() bool { return strings.Contains(read(t, trace), " exit_group(0") })
	allowed := allowedCalls(t)
	families := strings.Fields(setting(t, "RestrictAddressFamilies")[0])
	complaints := make(map[string]bool)
	for _, name := range common {
		if !allowed[name] {
			complaints[name+" is not allowed"] = true
		}
	}
	calls := aCall.FindAllStringSubmatch(read(t, trace), -1)
	for _, call := range calls {
		name, arguments := call[1], call[2]
		family, _, _ := strings.Cut(arguments, ",")
		switch {
		case name == "fchown" && os.Geteuid() == 0: // SQLite gives new files to the owner of the database, for root alone
		case !allowed[name]:
			complaints[name+" is not allowed"] = true
		case name == "socket" && !slices.Contains(families, family):
			complaints["socket of "+family] = true
		case (name == "mmap" || name == "mprotect") && strings.Contains(arguments, "PROT_EXEC"):
			complaints[name+" of memory to execute: "+arguments] = true
		}
	}
	for complaint := range complaints {
		t.Errorf("the unit forbids what a server does: %s", complaint)
	}
	if len(calls) < 200 {
		t.Errorf("only %d calls were seen", len(calls))
	}
}

// allowedCalls are those that SystemCallFilter= lets through: a list, less the lists after ~.
func allowedCalls(t *testing.T) map[string]bool {
	t.Helper()
	allowed := make(map[string]bool)
	for _, filter := range setting(t, "SystemCallFilter") {
		names, without := strings.CutPrefix(filter, "~")
		for _, set := range strings.Fields(names) {
			calls := callsOf(t, set)
			if without {
				maps.DeleteFunc(allowed, func(call string, _ bool) bool { return calls[call] })
			} else {
				maps.Copy(allowed, calls)
			}
		}
	}
	return allowed
}

// callsOf are the calls in one of systemd's sets, and in the sets in it.
func callsOf(t *testing.T, set string) map[string]bool {
	t.Helper()
	said, err := systemdAnalyze(t, "--no-pager", "syscall-filter", set)
	if err != nil {
		t.Fatalf("syscall-filter %s: %v\n%s", set, err, said)
	}
	calls := make(map[string]bool)
	for line := range strings.Lines(said) {
		name := strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "    ") || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(name, "@"):
			maps.Copy(calls, callsOf(t, name))
		default:
			calls[name] = true
		}
	}
	return calls
}

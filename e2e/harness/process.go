package harness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// Process is a program that runs. It is killed when the test ends, if it still runs then.
type Process struct {
	command *exec.Cmd
	first   chan string
	out     output
	errs    output
	ended   chan struct{}
	err     error
}

// output collects what a process writes to both streams.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start starts a program, with these NAME=VALUE pairs added to the environment. It has a temporary directory of its own:
// tests kill programs, which then cannot clean up after themselves.
func Start(t testing.TB, environment []string, path string, args ...string) *Process {
	t.Helper()
	p := &Process{command: exec.Command(path, args...), first: make(chan string, 1), ended: make(chan struct{})}
	p.command.Env = slices.Concat(os.Environ(), []string{"TMPDIR=" + t.TempDir()}, environment)
	p.command.SysProcAttr = withParent()
	p.command.Stderr = &p.errs
	stdout, err := p.command.StdoutPipe()
	if err == nil {
		err = p.command.Start()
	}
	if err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	go p.read(stdout)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() && p.Output() != "" {
			t.Logf("%s said:\n%s", path, tail(p.Output(), 3000))
		}
	})
	return p
}

// read collects the standard output and offers its first line, then waits for the end of the process.
func (p *Process) read(stdout io.Reader) {
	in := bufio.NewReader(io.TeeReader(stdout, &p.out))
	line, err := in.ReadString('\n')
	if err == nil {
		p.first <- line
	}
	close(p.first)
	_, _ = io.Copy(io.Discard, in) // the tee keeps it
	p.err = p.command.Wait()
	close(p.ended)
}

// FirstLine waits for the first line of the standard output; it is empty when the process ended without one.
func (p *Process) FirstLine(t testing.TB) string {
	t.Helper()
	select {
	case line := <-p.first:
		return line
	case <-time.After(60 * time.Second):
		t.Fatalf("the program printed nothing for a minute; so far:\n%s", p.Output())
		return ""
	}
}

// Stderr is everything that was written to standard error so far.
func (p *Process) Stderr() string { return p.errs.String() }

// Output is everything that was written to standard output and then to standard error so far.
func (p *Process) Output() string { return p.out.String() + p.errs.String() }

// PID is the process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL, which it cannot notice, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // it may have ended by itself
	<-p.ended
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.command.Process.Signal(s) }

// Stop sends what Ctrl-C sends, waits for the end and returns the exit status.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatalf("stop the program: %v", err)
	}
	return p.Wait(t)
}

// Wait waits for the process to end and returns the exit status.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.Kill()
		t.Fatalf("the program did not end within 30 s:\n%s", tail(p.Output(), 3000))
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// Run runs a program to its end and returns what it wrote to standard output; it fails the test if the exit status is
// not 0.
func Run(t testing.TB, path string, args ...string) string {
	t.Helper()
	command := exec.Command(path, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", path, args, err, out, stderr.Bytes())
	}
	return string(out)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

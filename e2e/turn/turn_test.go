package turn

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain lets this program be another one that wants its turn.
func TestMain(m *testing.M) {
	if os.Getenv("PAROLA_TEST_TURN") != "" {
		if err := Take(); err != nil {
			panic(err)
		}
		os.Stdout.WriteString("mine\n")
		bufio.NewReader(os.Stdin).ReadByte() // until the test closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestOneAtATime has a program wait while another has its turn, until that one is killed.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	first, firstSays := another(t, dir)
	await(t, firstSays, true, 10*time.Second)
	_, secondSays := another(t, dir)
	await(t, secondSays, false, 300*time.Millisecond)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, secondSays, true, 10*time.Second)
}

func another(t *testing.T, dir string) (*exec.Cmd, <-chan string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "PAROLA_TEST_TURN=1", "TMPDIR="+dir)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); command.Process.Kill(); command.Wait() })
	says := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		says <- line
	}()
	return command, says
}

func await(t *testing.T, says <-chan string, has bool, d time.Duration) {
	t.Helper()
	select {
	case line := <-says:
		if !has || line != "mine\n" {
			t.Fatalf("it says %q, want a turn: %t", line, has)
		}
	case <-time.After(d):
		if has {
			t.Fatal("its turn does not come")
		}
	}
}

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
	if how := os.Getenv("PAROLA_TEST_TURN"); how != "" {
		if err := take(how == "alone"); err != nil {
			panic(err)
		}
		os.Stdout.WriteString("mine\n")
		bufio.NewReader(os.Stdin).ReadByte() // until the test closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestTurns has programs wait for each other, and end by being killed.
func TestTurns(t *testing.T) {
	dir := t.TempDir()
	alone, has := another(t, dir, "alone")
	await(t, has, true, 10*time.Second)
	first, firstHas := another(t, dir, "shared")
	second, secondHas := another(t, dir, "shared")
	await(t, firstHas, false, 200*time.Millisecond)
	kill(t, alone)
	await(t, firstHas, true, 10*time.Second)
	await(t, secondHas, true, 10*time.Second)
	_, has = another(t, dir, "alone")
	kill(t, first)
	await(t, has, false, 200*time.Millisecond)
	kill(t, second)
	await(t, has, true, 10*time.Second)
}

func kill(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

func another(t *testing.T, dir, how string) (*exec.Cmd, <-chan string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "PAROLA_TEST_TURN="+how, "TMPDIR="+dir)
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

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The bits of a file's mode that are for every user of the machine.
const (
	openToAll     fs.FileMode = 0o007
	writableByAll fs.FileMode = 0o002
)

// readFile reads a small file, and says what its owner, group and others may do with it.
func readFile(path string) (content []byte, mode fs.FileMode, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is open, which a rename cannot exchange
	if err != nil {
		return nil, 0, err
	}
	content, err = io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(content) > maxConfig {
		err = fmt.Errorf("%s has more than %d bytes", path, maxConfig)
	}
	return content, info.Mode().Perm(), err
}

// readSecret reads a secret's file and refuses one that is open to every user of the machine (KEY-07).
func readSecret(path string) (string, error) {
	content, mode, err := readFile(path)
	if err != nil {
		return "", err
	}
	if mode&openToAll != 0 {
		return "", fmt.Errorf("%s holds a secret and every user of this machine can read or change it: run chmod o-rwx %s", path, path)
	}
	return string(content), nil
}

const (
	// secretCommandLimit is how long a secret's command may take: a key management service answers in less than one second.
	secretCommandLimit = 10 * time.Second
	// maxSecretOutput bounds what it may print, in bytes.
	maxSecretOutput = 64 << 10
)

// runSecret runs a secret's command without a shell and returns what it prints. Its own complaints are not repeated: they
// may hold what must not be in a log.
func (c *invocation) runSecret(command []string) (string, error) {
	return c.runSecretWithin(secretCommandLimit, command)
}

func (c *invocation) runSecretWithin(limit time.Duration, command []string) (string, error) {
	path := command[0]
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("the command %s must be named by its whole path", path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no command %s", path)
	case err != nil:
		return "", fmt.Errorf("look at the command: %w", err)
	case info.Mode().Perm()&writableByAll != 0:
		return "", fmt.Errorf("every user of this machine can change %s, which tells a secret: run chmod o-w %s", path, path)
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	var out limitedBuffer
	run := exec.CommandContext(ctx, path, command[1:]...)
	run.Stdout, run.Env = &out, withoutOurs(c.Environ)
	run.WaitDelay = time.Second // a child of the command that keeps its output open is not waited for
	err = run.Run()
	var ended *exec.ExitError
	switch byHand := "run it by hand to see why: what it says is not repeated here"; {
	case ctx.Err() != nil && c.ctx.Err() == nil:
		return "", fmt.Errorf("the command %s did not end within %s", path, limit)
	case out.over:
		return "", fmt.Errorf("the command %s printed more than %d bytes", path, maxSecretOutput)
	case errors.As(err, &ended):
		return "", fmt.Errorf("the command %s failed (%s); %s", path, ended.ProcessState, byHand)
	case err != nil:
		return "", fmt.Errorf("run the command %s: %w", path, err)
	case len(bytes.TrimSpace(out.held)) == 0:
		return "", fmt.Errorf("the command %s printed nothing; %s", path, byHand)
	}
	return string(out.held), nil
}

// withoutOurs is the environment without our settings, some of which are secrets: the command needs those of its service.
func withoutOurs(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "PAROLA_") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// limitedBuffer refuses to hold more than maxSecretOutput.
type limitedBuffer struct {
	held []byte
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.held)+len(p) > maxSecretOutput {
		b.over = true
		return 0, errors.New("too much output")
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

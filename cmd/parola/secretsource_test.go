package main

import (
	"strings"
	"testing"
	"time"
)

func TestASecretsCommandIsBoundedAndSeesNoneOfOurSettings(t *testing.T) {
	c := &invocation{ctx: t.Context(), Main: Main{Environ: []string{"PATH=/usr/bin:/bin", "REGION=eu-south-1", "PAROLA_SECRETS_PREVIOUS=h3Vm6wq9Jm0b"}}}
	got, err := c.runSecret([]string{"/usr/bin/env"})
	if err != nil || !strings.Contains(got, "REGION=eu-south-1") || strings.Contains(got, "PAROLA_") {
		t.Errorf("its environment is %q, %v", got, err)
	}
	begun := time.Now()
	// The child keeps the output open after its parent is gone.
	_, err = c.runSecretWithin(100*time.Millisecond, []string{"/bin/sh", "-c", "sleep 20 & sleep 20"})
	if err == nil || !strings.Contains(err.Error(), "did not end within 100ms") || time.Since(begun) > 10*time.Second {
		t.Errorf("one that hangs: %v after %s", err, time.Since(begun))
	}
	if _, err = c.runSecret([]string{"/bin/sh", "-c", "yes h3Vm6wq9Jm0b"}); err == nil || !strings.Contains(err.Error(), "printed more than") {
		t.Errorf("one without end: %v", err)
	}
}

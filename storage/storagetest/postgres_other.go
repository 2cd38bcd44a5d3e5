//go:build !unix

package storagetest

import "os/exec"

// asPostgres has no private cluster to prepare here: PAROLA_TEST_POSTGRES must name a server.
func asPostgres(string, ...*exec.Cmd) error { return errNoPostgres }

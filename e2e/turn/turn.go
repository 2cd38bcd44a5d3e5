// Package turn keeps test programs apart that drive whole servers, whatever go test -p says. They keep every processor busy and
// hold servers to deadlines, which a neighbour of their own kind would break.
package turn

import (
	"fmt"
	"os"
	"path/filepath"
)

// Alone waits until no other such program runs, and Shared until none runs alone. The turn ends with the program, however it
// ends. Call one of them from TestMain, before the tests and their timeout begin.
func Alone() error { return take(true) }

// Shared is described at Alone.
func Shared() error { return take(false) }

func take(alone bool) error {
	// One for each user: the file is not to be opened by another.
	path := filepath.Join(os.TempDir(), fmt.Sprintf("parola-tests-%d.lock", os.Getuid()))
	if err := lock(path, alone); err != nil {
		return fmt.Errorf("wait for other tests: %w", err)
	}
	return nil
}

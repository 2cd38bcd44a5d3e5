// Package turn lets the test programs that drive whole servers run one at a time on a machine, whatever go test -p says: each
// of them keeps every processor busy, and each holds servers to deadlines, which a neighbour of its own kind would break.
package turn

import (
	"fmt"
	"os"
	"path/filepath"
)

// Take waits for this program's turn, which ends with the program, however it ends. Call it from TestMain, before the tests
// and their timeout begin.
func Take() error {
	// One for each user: the file is not to be opened by another.
	path := filepath.Join(os.TempDir(), fmt.Sprintf("parola-tests-%d.lock", os.Getuid()))
	if err := lock(path); err != nil {
		return fmt.Errorf("wait for other tests: %w", err)
	}
	return nil
}

//go:build unix

package turn

import "syscall"

// lock leaves the file open: closing it would give the turn away.
func lock(path string, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	file, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	for {
		if err := syscall.Flock(file, how); err != syscall.EINTR {
			return err
		}
	}
}

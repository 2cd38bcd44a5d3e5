package harness

import "syscall"

// withParent has the kernel end a child when the test binary goes, however it goes.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

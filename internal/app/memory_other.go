//go:build !linux

package app

// forgetStart has nothing to give back where the system does not say which pages a program holds.
func forgetStart() {}

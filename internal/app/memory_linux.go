package app

import (
	"bufio"
	"debug/elf"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// forgetStart gives the pages of the program file back that only starting needed: most of it is touched once, by the
// initialisation of packages, and would count as this process's memory ever after. What is needed again is read again from the
// system's cache; nothing is lost, since the pages of a program with fixed addresses are never written.
func forgetStart() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	// A program that is placed anywhere holds pages that the loader wrote and then closed to writing: the file has them not.
	file, err := elf.Open(program)
	if err != nil {
		return
	}
	defer file.Close()
	if file.Type != elf.ET_EXEC {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != program || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && end > start {
			// It is advice: where the system does not take it, nothing changes.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), syscall.MADV_DONTNEED)
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on. The kernel scales these figures from
// an exact clock, so that only the reading is this coarse.
const tick = 10 * time.Millisecond

// stat is what is read of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	parent int
	// own is the time of all threads, buried that of children that have ended and were waited for.
	own, buried time.Duration
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is a name in brackets that may hold blanks and brackets; the third comes after the last one.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	var n [15]int64
	for i := 1; i < len(n); i++ {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
	}
	return stat{parent: int(n[1]), own: time.Duration(n[11]+n[12]) * tick, buried: time.Duration(n[13]+n[14]) * tick}, nil
}

// cpu is the processor time of processes, of their children that live, and of those that have ended: for PostgreSQL the
// postmaster stands for all.
func cpu(pids []int) (time.Duration, error) {
	if len(pids) == 0 {
		return 0, errors.New("no process to measure")
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	stats := make(map[int]stat, len(all))
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // it may have ended meanwhile
			stats[pid] = s
		}
	}
	var sum time.Duration
	for _, pid := range pids {
		if _, runs := stats[pid]; !runs {
			return 0, fmt.Errorf("process %d has ended", pid)
		}
	}
	for pid, s := range stats {
		if belongs(stats, pid, pids) {
			sum += s.own + s.buried
		}
	}
	return sum, nil
}

// belongs says whether a process is one of pids or descends from one.
func belongs(stats map[int]stat, pid int, pids []int) bool {
	for range 16 {
		for _, p := range pids {
			if pid == p {
				return true
			}
		}
		s, runs := stats[pid]
		if !runs || s.parent <= 1 {
			return false
		}
		pid = s.parent
	}
	return false
}

// resident is the memory of processes in MiB. Their children are left out, which share pages with them.
type resident struct {
	// Now is what they hold, of which File are pages of files, mostly of the program itself; Peak is the most since
	// forgetPeak.
	Now, File, Peak float64
}

func memory(pids []int) (m resident, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return m, err
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64) // other lines are no numbers
			switch name {
			case "VmRSS":
				m.Now += kib / 1024
			case "RssFile":
				m.File += kib / 1024
			case "VmHWM":
				m.Peak += kib / 1024
			}
		}
	}
	return m, nil
}

// forgetPeak lets the peak of memory begin anew.
func forgetPeak(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return fmt.Errorf("reset the peak of memory: %w", err)
		}
	}
	return nil
}

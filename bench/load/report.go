package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/parola-id/parola/storage/storagetest"
)

// report is everything that was measured.
type report struct {
	Machine    machineInfo `json:"machine"`
	Yardsticks []yardstick `json:"yardsticks,omitempty"`
	Figures    []figure    `json:"operations,omitempty"`
	States     []state     `json:"server,omitempty"`
	Growth     []grown     `json:"growth,omitempty"`
}

// machineInfo names the machine whose figures these are.
type machineInfo struct {
	Processor  string `json:"processor"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"`
	Go         string `json:"go"`
	// Load is what else kept the machine busy in the minute before.
	Load string `json:"load_before"`
}

// machine describes this machine and the file system of a directory.
func machine(dir string) machineInfo {
	m := machineInfo{Processor: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), FileSystem: fileSystem(dir)}
	read := func(file string) string { text, _ := os.ReadFile(file); return strings.TrimSpace(string(text)) } // told as nothing
	m.Kernel = read("/proc/sys/kernel/osrelease")
	m.Load, _, _ = strings.Cut(read("/proc/loadavg"), " ")
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// fileSystem names the file system of a directory by its magic number (statfs(2)).
func fileSystem(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "unknown"
	}
	switch uint32(s.Type) {
	case 0xef53:
		return "ext4"
	case 0x58465342:
		return "xfs"
	case 0x9123683e:
		return "btrfs"
	case 0x01021994:
		return "tmpfs, which forgets: set TMPDIR to a directory on a disk"
	case 0x794c7630:
		return "overlayfs"
	}
	return fmt.Sprintf("%#x", uint32(s.Type))
}

// yardsticks measures them.
func (r *report) yardsticks(ctx context.Context, cluster *storagetest.Cluster, postmaster []int) error {
	alone, busy, err := argon2id(ctx)
	if err != nil {
		return err
	}
	signature, err := es256()
	if err != nil {
		return err
	}
	r.Yardsticks = append(r.Yardsticks, alone, busy, signature)
	dir, err := os.MkdirTemp("", "parola-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	inFile, err := sqliteRow(ctx, dir)
	if err != nil {
		return err
	}
	r.Yardsticks = append(r.Yardsticks, inFile)
	if cluster == nil {
		return nil // the database of somebody else gets no rows of ours but those of the operations
	}
	dsn, err := cluster.CreateDatabase(ctx, "yardstick")
	if err != nil {
		return err
	}
	onServer, err := postgresRow(ctx, dsn, postmaster)
	r.Yardsticks = append(r.Yardsticks, onServer)
	return err
}

func (r *report) write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	m := r.Machine
	fmt.Fprintf(out, "%s, %d cores, Linux %s, %s, %s, load before %s\n", m.Processor, m.Cores, m.Kernel, m.FileSystem, m.Go, m.Load)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Yardsticks) > 0 {
		fmt.Fprintln(w, "\nyardstick\tCPU-ms\tms\t")
		for _, y := range r.Yardsticks {
			fmt.Fprintf(w, "%s\t%.3f\t%.3f\t\n", y.Name, y.CPU, y.Wall)
		}
	}
	if len(r.Figures) > 0 {
		fmt.Fprintln(w, "\noperation\tdatabase\tn\tper second\tp50 ms\tp95 ms\tp99 ms\tCPU-ms\tof it nodes\tless argon2id\tlimit\t\tpeak MiB\terrors\t")
		for _, f := range r.Figures {
			f.write(w)
		}
	}
	if len(r.States) > 0 {
		fmt.Fprintln(w, "\nserver\tdatabase\tvalue\tlimit\t\t\t")
		for _, s := range r.States {
			fmt.Fprintf(w, "%s\t%s\t%.1f %s\t%.0f\t%s\t%s\t\n", s.Name, s.Database, s.Value, s.Unit, s.Limit, word(s.over()), s.Note)
		}
	}
	writeGrowth(w, r.Growth)
	return w.Flush()
}

func (f figure) write(w io.Writer) {
	fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\t%s\t%.2f\t%s\t%.0f\t%d\t\n", f.Operation, f.Database, f.N, f.PerSecond,
		f.P50, f.P95, f.P99, f.CPU, f.Nodes, f.less(), f.Limit, word(f.over()), f.Peak, f.Errors)
}

func (f figure) less() string {
	if f.Less == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *f.Less)
}

func word(over bool) string {
	if over {
		return "OVER"
	}
	return "ok"
}

// verdict is an error when operations failed, and where limits are to be held when one is exceeded.
func (r *report) verdict(check bool) error {
	var all []error
	figures := r.Figures
	for _, g := range r.Growth {
		figures = append(figures[:len(figures):len(figures)], g.figure)
		if check && g.Slower > mostGrowth {
			all = append(all, fmt.Errorf("%s on %s is %.2f times slower with %d people", g.Operation, g.Database, g.Slower, g.Users))
		}
	}
	for _, f := range figures {
		if f.Errors > 0 {
			all = append(all, fmt.Errorf("%s on %s failed %d times, first: %s", f.Operation, f.Database, f.Errors, f.Error))
		}
		if check && f.Limit > 0 && f.over() {
			all = append(all, fmt.Errorf("%s on %s takes more than %.2f CPU-ms", f.Operation, f.Database, f.Limit))
		}
	}
	for _, s := range r.States {
		if check && s.over() {
			all = append(all, fmt.Errorf("%s on %s is more than %.0f %s", s.Name, s.Database, s.Limit, s.Unit))
		}
	}
	return errors.Join(all...)
}

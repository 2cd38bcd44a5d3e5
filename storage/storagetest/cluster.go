package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a private PostgreSQL server that listens on a Unix socket alone. It ends with this process, however that goes.
type Cluster struct {
	// DSN is its database postgres, of a user who may create others.
	DSN string

	bin, dir string
	settings []string
	// alive ends the keepers when it is closed: the first one removes the directory, and one more came with each Start.
	alive []io.Closer
	ended []chan struct{}
}

// forgetful settings make tests quick; nothing of them is to survive a power cut.
var forgetful = []string{"fsync=off", "synchronous_commit=off", "full_page_writes=off", "deadlock_timeout=100ms", "max_connections=200",
	"shared_buffers=64MB"}

// keeper runs the server until its standard input ends, which is when the process that started it is gone or closed it; then
// it stops the server and removes the directory.
const keeper = `trap '' INT TERM HUP
bin=$1 dir=$2
shift 2
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= "$@" >"$dir/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$dir"`

// StartCluster makes a new cluster in a temporary directory and starts its server with settings such as "fsync=off". Without
// any it is as careful as PostgreSQL is by default.
func StartCluster(settings ...string) (*Cluster, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	// Not the test's own directory: PostgreSQL refuses to run as root and its user must get there.
	dir, err := os.MkdirTemp("/tmp", "parola-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{DSN: fmt.Sprintf("host=%s user=postgres dbname=postgres sslmode=disable", dir), bin: bin, dir: dir, settings: settings}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth=trust",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	initdb.Dir = dir
	if err := asPostgres(dir, initdb); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return c, c.Start()
}

// Start starts the server and waits until it answers: once in StartCluster, and again after Stop.
func (c *Cluster) Start() error {
	run := exec.Command("/bin/sh", "-c", keeper, "sh", c.bin, c.dir)
	for _, s := range c.settings {
		run.Args = append(run.Args, "-c", s)
	}
	run.Dir = c.dir
	if err := asPostgres(c.dir, run); err != nil {
		return err
	}
	// The write end stays open as long as this process lives; nobody ever writes.
	alive, err := run.StdinPipe()
	if err != nil {
		return err
	}
	if err := run.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = run.Wait() }() // QUIT is not a good end, and the only one
	c.alive, c.ended = append(c.alive, alive), append(c.ended, ended)
	return waitForServer(c.DSN, filepath.Join(c.dir, "log"))
}

// Stop ends the server with a signal, and waits until it is gone: SIGINT ends every connection and writes everything down,
// SIGQUIT leaves what is to be recovered at the next start (PostgreSQL manual, "Shutting Down the Server").
func (c *Cluster) Stop(how os.Signal) error {
	pid, err := c.PID()
	if err != nil {
		return err
	}
	server, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := server.Signal(how); err != nil {
		return err
	}
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if _, err := c.PID(); os.IsNotExist(err) {
			return nil // it removes the file as the last thing
		}
	}
	return fmt.Errorf("PostgreSQL did not stop within 30 s of %s", how)
}

// PID is the postmaster's process, whose children do the work.
func (c *Cluster) PID() (int, error) {
	// Its first line is the process id (PostgreSQL manual, "Database File Layout").
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

// CreateDatabase makes an empty database and returns its DSN.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) (string, error) {
	settings, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return "", err
	}
	s := &server{settings: settings}
	return s.dsn(name), s.exec(ctx, "CREATE DATABASE "+name)
}

// Close ends the server and removes its directory.
func (c *Cluster) Close() error {
	var errs []error
	for i := len(c.alive) - 1; i >= 0; i-- {
		errs = append(errs, c.alive[i].Close())
		<-c.ended[i]
	}
	return errors.Join(errs...)
}

func waitForServer(dsn, log string) error {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("%w; the server said: %s", err, said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// postgresBin is the directory with initdb and postgres of the newest version at hand.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errNoPostgres
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

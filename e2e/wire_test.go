package e2e_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// wire carries PostgreSQL's connections. It can be cut, which both ends notice, and fall silent, which neither does.
type wire struct {
	dsn           string
	network, addr string
	mu            sync.Mutex
	broken        bool
	silent        bool
	speaks        *sync.Cond
	open          map[net.Conn]bool
}

func newWire(t *testing.T, dsn string) *wire {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{network: "tcp", addr: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), open: map[net.Conn]bool{}}
	w.speaks = sync.NewCond(&w.mu)
	if strings.HasPrefix(c.Host, "/") {
		w.network, w.addr = "unix", filepath.Join(c.Host, fmt.Sprintf(".s.PGSQL.%d", c.Port))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); w.cut(); w.speak() })
	w.dsn = fmt.Sprintf("host=127.0.0.1 port=%d user='%s' password='%s' dbname='%s' sslmode=disable",
		l.Addr().(*net.TCPAddr).Port, c.User, c.Password, c.Database)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	return w
}

func (w *wire) carry(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial(w.network, w.addr)
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	if w.broken {
		w.mu.Unlock()
		return
	}
	w.open[conn], w.open[server] = true, true
	w.mu.Unlock()
	go func() {
		w.pass(server, conn)
		server.Close()
	}()
	w.pass(conn, server)
}

// pass copies until an end has gone.
func (w *wire) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		for w.silent {
			w.speaks.Wait()
		}
		w.mu.Unlock()
		if _, wrong := to.Write(buffer[:n]); err != nil || wrong != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
	for conn := range w.open {
		conn.Close()
	}
	clear(w.open)
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = false
}

func (w *wire) hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
}

func (w *wire) speak() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = false
	w.speaks.Broadcast()
}

package e2e_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parola-id/parola/e2e/harness"
)

// breakable is a database that can be taken away and given back while a provider uses it.
type breakable struct {
	dsn        string // of PostgreSQL; empty for SQLite
	down, back func(t *testing.T, in *harness.Installation)
}

// breakables are PostgreSQL behind a wire that is cut, and a SQLite file whose tables are gone: its provider has the file
// open and would not notice if it were moved.
var breakables = map[string]func(t *testing.T) breakable{
	"sqlite": func(*testing.T) breakable {
		return breakable{
			down: func(t *testing.T, in *harness.Installation) { rename(t, in, "", "_gone") },
			back: func(t *testing.T, in *harness.Installation) { rename(t, in, "_gone", "") },
		}
	},
	"postgres": func(t *testing.T) breakable {
		w := newWire(t, postgresDSN(t))
		return breakable{dsn: w.dsn,
			down: func(*testing.T, *harness.Installation) { w.cut() },
			back: func(*testing.T, *harness.Installation) { w.mend() },
		}
	},
}

func rename(t *testing.T, in *harness.Installation, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+in.Config.Database.Path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"clients", "auth_requests", "sessions", "persons", "phones", "challenges", "deliveries", "grants", "tokens", "buckets", "failures"} {
		if _, err := db.Exec("ALTER TABLE " + table + from + " RENAME TO " + table + to); err != nil {
			t.Fatal(err)
		}
	}
}

// wire carries PostgreSQL's connections and can be cut.
type wire struct {
	dsn           string
	network, addr string
	mu            sync.Mutex
	broken        bool
	open          map[net.Conn]bool
}

func newWire(t *testing.T, dsn string) *wire {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{network: "tcp", addr: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), open: map[net.Conn]bool{}}
	if strings.HasPrefix(c.Host, "/") {
		w.network, w.addr = "unix", filepath.Join(c.Host, fmt.Sprintf(".s.PGSQL.%d", c.Port))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); w.cut() })
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
		_, _ = io.Copy(server, conn)
		server.Close()
	}()
	_, _ = io.Copy(conn, server)
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

// TestStorageDown takes the database away in the middle of logins. Everybody is told to come back, nobody is refused; and
// when it is there again, everything goes on where it was (REL-08, OA-37): the same form, the same passcode, the same
// AuthCode and tokens, and not one try is lost.
func TestStorageDown(t *testing.T) {
	t.Parallel()
	for name, database := range breakables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := database(t)
			receipts := newReceipts(t)
			in := harness.Install(t, harness.Options{DSN: d.dsn, Webhook: receipts.url})
			provider := in.Run(nil)
			rp, api := in.RelyingParty(harness.WebClient), in.RelyingParty(harness.APIClient)

			// One is about to give the password, one the passcode, one is back at the client, and one has tokens.
			first, second, third := in.Person("uno"), in.Person("due"), in.Person("tre")
			b1, a1 := in.Browser(), rp.Begin()
			passwordPage := b1.Get(a1.URL)
			b2, a2 := in.Browser(), rp.Begin()
			passcodePage := b2.Password(a2.URL, second)
			passcode := second.Phone.Passcode("whatsapp", 10e9)
			b3, a3 := in.Browser(), rp.Begin()
			authCode := rp.AuthCode(t, b3.Login(a3.URL, third, "whatsapp"), a3)
			a4 := rp.Begin()
			tokens, err := rp.Redeem(rp.AuthCode(t, b3.Get(a4.URL), a4), a4)
			if err != nil || tokens.Status != http.StatusOK {
				t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
			}
			receipts.wait(t, 2)

			d.down(t, in)
			for what, page := range map[string]*harness.Page{
				"an authorization request":       in.Browser().Get(rp.Begin().URL),
				"a silent authorization request": b3.Get(rp.Begin("prompt", "none").URL),
				"a right password":               b1.Press(passwordPage, "Continue", "username", first.Username, "password", first.Password),
				"a right passcode":               b2.Press(passcodePage, "Continue", "passcode", passcode),
				"the passcode page":              b2.Reload(passcodePage),
				"a logout":                       b3.Get(in.Issuer + "/logout"),
			} {
				if page.Stopped {
					t.Errorf("%s is refused: %s", what, page.URL)
					continue
				}
				if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || !page.Says("We’ll be right back") {
					t.Errorf("%s: %d, Retry-After %q: %s", what, page.Status, page.Header.Get("Retry-After"), page.Text())
				}
				saysNothingOfInside(t, what, page.Body)
			}
			for what, call := range map[string]func() (harness.Answer, error){
				"redeem":   func() (harness.Answer, error) { return rp.Redeem(authCode, a3) },
				"refresh":  func() (harness.Answer, error) { return rp.Refresh(tokens.Text("refresh_token")) },
				"userinfo": func() (harness.Answer, error) { return rp.UserInfo(tokens.Text("access_token")) },
				"revoke": func() (harness.Answer, error) {
					return rp.Post("/revoke", url.Values{"token": {tokens.Text("access_token")}})
				},
				"introspect": func() (harness.Answer, error) {
					return api.Post("/introspect", url.Values{"token": {tokens.Text("access_token")}})
				},
			} {
				answer, err := call()
				if err != nil || answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || answer.Text("error") != "temporarily_unavailable" {
					t.Errorf("%s: %d %v, Retry-After %q: %s", what, answer.Status, err, answer.Header.Get("Retry-After"), answer.Body)
				}
				saysNothingOfInside(t, what, answer.Body)
			}
			for _, status := range receipts.post(t, in.Issuer+"/webhooks/whatsapp") {
				if status != http.StatusServiceUnavailable { // Meta sends it again
					t.Errorf("a receipt is answered with %d", status)
				}
			}
			d.back(t, in)

			harness.Eventually(t, 15e9, "the database is noticed again", func() bool {
				info, err := rp.UserInfo(tokens.Text("access_token"))
				return err == nil && info.Status == http.StatusOK
			})
			for _, status := range receipts.post(t, in.Issuer+"/webhooks/whatsapp") {
				if status != http.StatusOK {
					t.Errorf("after the outage a receipt is answered with %d", status)
				}
			}
			b1.Press(passwordPage, "Continue", "username", first.Username, "password", first.Password).MustSay(t, "Enter your code")
			rp.AuthCode(t, b2.Press(passcodePage, "Continue", "passcode", passcode), a2)
			if again, err := rp.Redeem(authCode, a3); err != nil || again.Status != http.StatusOK {
				t.Errorf("redeem after the outage: %d %v %s", again.Status, err, again.Body)
			}
			if again, err := rp.Refresh(tokens.Text("refresh_token")); err != nil || again.Status != http.StatusOK {
				t.Errorf("refresh after the outage: %d %v %s", again.Status, err, again.Body)
			}
			first.Phone.Passcode("whatsapp", 10e9)
			if strings.Contains(provider.LogText(), passcode) {
				t.Error("the log of the outage holds a passcode")
			}
		})
	}
}

func saysNothingOfInside(t *testing.T, what, body string) {
	t.Helper()
	for _, word := range inside {
		if strings.Contains(strings.ToLower(body), word) {
			t.Errorf("%s tells of what is inside (%q): %.500s", what, word, body)
		}
	}
}

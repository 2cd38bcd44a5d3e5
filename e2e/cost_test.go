package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/e2e/turn"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, turn.Alone)) }

// What a whole login may cost the database: from GET /authorize to the answer of POST /token, the dispatcher's work for
// its one message included.
const (
	mostStatements = 40
	mostCommits    = 9
)

// TestWholeLoginCosts counts what one login of a first-party client by WhatsApp does to the database, with a browser
// without JavaScript and no second look at any page. What Meta's receipts add is counted apart: how many come, and when,
// is Meta's business.
func TestWholeLoginCosts(t *testing.T) {
	for name, dsn := range databases {
		t.Run(name, func(t *testing.T) {
			receipts := newReceipts(t)
			in := harness.Install(t, harness.Options{DSN: dsn(t), Webhook: receipts.url,
				Environment: []string{"PAROLA_RETENTION_EVERY=1h"}}) // no sweep in the middle
			count := new(counter)
			in.Run(count.observe)
			who, rp := in.Person("ada"), in.RelyingParty(harness.WebClient)
			count.settle(t)

			var login, afterwards ops
			// The cheapest counts: once a second the dispatcher looks for wake-ups that were lost, and the sealer for events,
			// whether anybody signs in or not.
			for i := 0; i < 3 || i < 30 && login.tooMuch(); i++ {
				count.reset()
				a := rp.Begin()
				page := in.Browser().Login(a.URL, who, "whatsapp")
				answer, err := rp.Redeem(rp.AuthCode(t, page, a), a)
				if err != nil || answer.Status != http.StatusOK {
					t.Fatalf("redeem: %d %v %s", answer.Status, err, answer.Body)
				}
				if cost := count.settle(t); i == 0 || cost.statements() < login.statements() {
					login = cost
				}
				count.reset()
				receipts.replay(t, in.Issuer+"/webhooks/whatsapp", 2)
				if cost := count.settle(t); i == 0 || cost.statements() < afterwards.statements() {
					afterwards = cost
				}
			}
			t.Logf("a whole login: %d statements, %d commits (%v)", login.statements(), login["commit"], login)
			t.Logf("its two receipts: %d statements, %d commits (%v)", afterwards.statements(), afterwards["commit"], afterwards)
			if login.tooMuch() {
				t.Errorf("a whole login costs %d statements and %d commits: at most %d and %d are allowed",
					login.statements(), login["commit"], mostStatements, mostCommits)
			}
		})
	}
}

// ops counts statements and commits by kind.
type ops map[string]int

func (o ops) statements() (n int) {
	for op, times := range o {
		if op != "commit" {
			n += times
		}
	}
	return n
}

func (o ops) tooMuch() bool { return o.statements() > mostStatements || o["commit"] > mostCommits }

func (o ops) String() string {
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(o)) {
		parts = append(parts, fmt.Sprintf("%d %s", o[op], op))
	}
	return strings.Join(parts, ", ")
}

// counter is what the provider tells of its database.
type counter struct {
	mu   sync.Mutex
	seen ops
	last time.Time
}

func (c *counter) observe(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = ops{}
	}
	c.seen[op]++
	c.last = time.Now()
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = ops{}
}

// settle waits until the database has been left alone for a moment and returns the count as it was then.
func (c *counter) settle(t *testing.T) (cost ops) {
	t.Helper()
	harness.Eventually(t, 20*time.Second, "the database is left alone", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		cost = maps.Clone(c.seen)
		return time.Since(c.last) > 150*time.Millisecond
	})
	return cost
}

// receipts takes WhatsApp's webhooks in place of the provider and hands them over when the test wants.
type receipts struct {
	url  string
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	header http.Header
	body   string
}

func newReceipts(t *testing.T) *receipts {
	t.Helper()
	r := new(receipts)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the handset gave up
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kept = append(r.kept, kept{req.Header.Clone(), string(body)})
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// wait waits until there are n receipts.
func (r *receipts) wait(t *testing.T, n int) {
	t.Helper()
	harness.Eventually(t, 10*time.Second, "receipts of WhatsApp", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.kept) >= n
	})
}

// replay waits for n receipts and posts them to the provider, once and for all.
func (r *receipts) replay(t *testing.T, address string, n int) {
	t.Helper()
	r.wait(t, n)
	for _, status := range r.post(t, address) {
		if status != http.StatusOK {
			t.Fatalf("the provider answered %d to a receipt", status)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = nil
}

// post posts what was kept to the provider and returns how each was answered.
func (r *receipts) post(t *testing.T, address string) (statuses []int) {
	t.Helper()
	r.mu.Lock()
	all := slices.Clone(r.kept)
	r.mu.Unlock()
	for _, k := range all {
		req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(k.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = k.header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
	return statuses
}

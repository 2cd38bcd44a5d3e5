package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// crowd is a provider, on PostgreSQL two nodes of it, with a person who is about to sign in.
type crowd struct {
	*harness.Installation
	t     *testing.T
	store storage.Store
	nodes []string // addresses
	who   harness.Person
	rp    *harness.RelyingParty
}

func gather(t *testing.T, dsn string) *crowd {
	t.Helper()
	in := harness.Install(t, harness.Options{DSN: dsn})
	in.Run(nil)
	c := &crowd{Installation: in, t: t, store: open(t, in), nodes: []string{in.Issuer}, who: in.Person("rita"), rp: in.RelyingParty(harness.WebClient)}
	if dsn != "" {
		node, address := in.Node()
		node.Run(nil)
		c.nodes = append(c.nodes, address)
	}
	return c
}

// atOnce calls f n times at the same moment, with the nodes in turn.
func (c *crowd) atOnce(n int, f func(i int, node string)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			f(i, c.nodes[i%len(c.nodes)])
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// authCode signs the person in and returns what the client gets.
func (c *crowd) authCode() (string, harness.Authorization) {
	c.t.Helper()
	a := c.rp.Begin()
	return c.rp.AuthCode(c.t, c.Browser().Login(a.URL, c.who, "whatsapp"), a), a
}

// oneAuthCode loads n pages at the same moment, which must come back to the client with one AuthCode between them. Who comes
// too late may be given the same one, until it is redeemed.
func (c *crowd) oneAuthCode(n int, load func(i int) (*harness.Page, error)) string {
	c.t.Helper()
	var mu sync.Mutex
	var codes []string
	c.atOnce(n, func(i int, _ string) {
		page, err := load(i)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			c.t.Error(err)
		case page.Stopped && page.URL.Query().Get("code") != "":
			codes = append(codes, page.URL.Query().Get("code"))
		case page.Status >= http.StatusInternalServerError:
			c.t.Errorf("a loser got %d: %s", page.Status, page.Text())
		}
	})
	slices.Sort(codes)
	if codes = slices.Compact(codes); len(codes) != 1 {
		c.t.Fatalf("%d AuthCodes came back, want exactly one", len(codes))
	}
	return codes[0]
}

// oneWinner holds token answers to one 200, with invalid_grant for everybody else, and to the family being revoked:
// whoever won has nothing either.
func (c *crowd) oneWinner(answers []harness.Answer) {
	c.t.Helper()
	var winners []harness.Answer
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK:
			winners = append(winners, a)
		case a.Status != http.StatusBadRequest || a.Text("error") != "invalid_grant":
			c.t.Errorf("a loser got %d %s", a.Status, a.Body)
		}
	}
	if len(winners) != 1 {
		c.t.Fatalf("%d of %d won, want exactly one", len(winners), len(answers))
	}
	if again, err := c.rp.Refresh(winners[0].Text("refresh_token")); err != nil || again.Text("error") != "invalid_grant" {
		c.t.Errorf("the refresh token of the winner still works: %d %v %s", again.Status, err, again.Body)
	}
	if info, err := c.rp.UserInfo(winners[0].Text("access_token")); err != nil || info.Status != http.StatusUnauthorized {
		c.t.Errorf("the access token of the winner still works: %d %v %s", info.Status, err, info.Body)
	}
}

// patiently asks again while a server says that it is too busy, as a client does (Retry-After): eight at once on a busy machine may
// wait longer for one writer than a request may take. Whoever was put off must not have won: asked again, that would be a reuse.
func patiently(t *testing.T, ask func() (harness.Answer, error)) (answer harness.Answer) {
	for range 5 {
		var err error
		if answer, err = ask(); err != nil {
			t.Error(err)
		}
		if answer.Status != http.StatusServiceUnavailable {
			break
		}
	}
	return answer
}

// TestOA24_AuthCodeRedeemedByMany redeems one AuthCode 8 times at once.
func TestOA24_AuthCodeRedeemedByMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		c := gather(t, dsn)
		authCode, a := c.authCode()
		answers := make([]harness.Answer, 8)
		c.atOnce(len(answers), func(i int, node string) {
			answers[i] = patiently(t, func() (harness.Answer, error) { return c.rp.At(node).Redeem(authCode, a) })
		})
		c.oneWinner(answers)
		if told := events(t, c.store, audit.CodeReplayed); len(told) != len(answers)-1 {
			t.Errorf("%d replays are told of, want %d", len(told), len(answers)-1)
		}
	})
}

// TestOA51_RefreshTokenUsedByMany uses one refresh token 8 times at once.
func TestOA51_RefreshTokenUsedByMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		c := gather(t, dsn)
		authCode, a := c.authCode()
		tokens, err := c.rp.Redeem(authCode, a)
		if err != nil || tokens.Status != http.StatusOK {
			t.Fatalf("redeem: %d %v %s", tokens.Status, err, tokens.Body)
		}
		answers := make([]harness.Answer, 8)
		c.atOnce(len(answers), func(i int, node string) {
			answers[i] = patiently(t, func() (harness.Answer, error) { return c.rp.At(node).Refresh(tokens.Text("refresh_token")) })
		})
		c.oneWinner(answers)
		if told := events(t, c.store, audit.TokenReuse); len(told) == 0 {
			t.Error("the reuse is not told")
		}
	})
}

// TestOTP03_PasscodeVerifiedByMany enters one right passcode from 8 connections of the same browser at once: one session,
// one AuthCode.
func TestOTP03_PasscodeVerifiedByMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		c := gather(t, dsn)
		b, a := c.Browser(), c.rp.Begin()
		page := b.Password(a.URL, c.who)
		passcode := c.who.Phone.Passcode("whatsapp", 10*time.Second)
		c.oneAuthCode(8, func(int) (*harness.Page, error) { return b.TryPress(page, "Continue", "passcode", passcode) })
		for kind, want := range map[string]int{audit.PasscodeSuccess: 1, audit.SessionCreated: 1, audit.CodeIssued: 1} {
			if told := events(t, c.store, kind); len(told) != want {
				t.Errorf("%s is told %d times, want %d", kind, len(told), want)
			}
		}
	})
}

// TestOTP20_WrongPasscodesFromMany enters 50 wrong passcodes at once: exactly the five that a challenge allows are counted
// and compared, and the right one is worth nothing afterwards.
func TestOTP20_WrongPasscodesFromMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		c := gather(t, dsn)
		b, a := c.Browser(), c.rp.Begin()
		page := b.Password(a.URL, c.who)
		passcode := c.who.Phone.Passcode("whatsapp", 10*time.Second)
		var busy atomic.Int64
		c.atOnce(50, func(i int, _ string) {
			wrong := fmt.Sprintf("%06d", i)
			if wrong == passcode {
				wrong = "999999"
			}
			next, err := b.TryPress(page, "Continue", "passcode", wrong)
			for err == nil && next.Status == http.StatusServiceUnavailable { // busy, and says so
				busy.Add(1)
				next, err = b.TryPress(page, "Continue", "passcode", wrong)
			}
			if err != nil {
				t.Error(err)
			} else if next.Stopped || next.Status >= http.StatusInternalServerError {
				t.Errorf("a wrong passcode led to %s (%d)", next.URL, next.Status)
			}
		})
		if next := b.Press(page, "Continue", "passcode", passcode); next.Stopped {
			t.Error("the right passcode worked after five wrong ones")
		}
		told := events(t, c.store, audit.PasscodeFail)
		compared := slices.DeleteFunc(told, func(e storage.Event) bool { return e.Reason != "wrong" }) // the rest came too late
		exhausted := events(t, c.store, audit.PasscodeExhausted)
		// What was counted before the database was too busy to compare is not told, and not compared again.
		if len(compared) > 5 || len(compared) < 5 && busy.Load() == 0 || len(exhausted) != 1 {
			t.Fatalf("told: %d wrong ones and %d times exhausted, want 5 and 1", len(compared), len(exhausted))
		}
		challenge, err := c.store.Challenge(context.Background(), exhausted[0].ChallengeID)
		if err != nil {
			t.Fatal(err)
		}
		if challenge.Tries != 5 || challenge.End != storage.ChallengeExhausted {
			t.Errorf("%d tries were counted and the challenge is %q", challenge.Tries, challenge.End)
		}
	})
}

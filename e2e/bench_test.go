package e2e_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/parola-id/parola/e2e/harness"
)

// The benchmarks run a provider and its handset in this process and speak to them over HTTP on the loopback, on SQLite
// (synchronous=NORMAL) and on PostgreSQL (as storagetest starts it, without fsync):
//
//	go test -run '^$' -bench . ./e2e
//
// A login hashes one password. BenchmarkArgon2id is what that alone costs.

func BenchmarkArgon2id(b *testing.B) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	for b.Loop() {
		argon2.IDKey([]byte("tulip harbour lantern"), salt, 2, 19<<10, 1, 32)
	}
}

// BenchmarkLogin is a whole login, from GET /authorize to the answer of POST /token: password, passcode by WhatsApp (which
// the handset delivers at once) and AuthCode. Receipts come in meanwhile.
func BenchmarkLogin(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		for b.Loop() {
			a := s.rp.Begin()
			page := s.Browser().Login(a.URL, s.who, "whatsapp")
			s.must(s.rp.Redeem(s.rp.AuthCode(b, page, a), a))
		}
		s.perOp()
	})
}

func BenchmarkPasscodeVerify(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		for b.Loop() {
			b.StopTimer()
			a, browser := s.rp.Begin(), s.Browser()
			s.who.Phone.Forget()
			page := browser.Password(a.URL, s.who)
			passcode := s.who.Phone.Passcode("whatsapp", 10*time.Second)
			b.StartTimer()
			if page = browser.Press(page, "Continue", "passcode", passcode); !page.Stopped {
				b.Fatal(page.Text())
			}
		}
	})
}

func BenchmarkTokenExchange(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		browser := s.signedIn()
		for b.Loop() {
			b.StopTimer()
			a := s.rp.Begin()
			authCode := s.rp.AuthCode(b, browser.Get(a.URL), a)
			b.StartTimer()
			s.must(s.rp.Redeem(authCode, a))
		}
	})
}

func BenchmarkRefresh(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		token := s.tokens().Text("refresh_token")
		s.count.reset()
		for b.Loop() {
			token = s.must(s.rp.Refresh(token)).Text("refresh_token")
		}
		s.perOp()
	})
}

func BenchmarkUserInfo(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		token := s.tokens().Text("access_token")
		s.count.reset()
		for b.Loop() {
			s.must(s.rp.UserInfo(token))
		}
		s.perOp()
	})
}

func BenchmarkIntrospection(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		token, api := s.tokens().Text("access_token"), s.WithNewSecret(harness.APIClient)
		s.count.reset()
		for b.Loop() {
			if answer := s.must(api.Post("/introspect", url.Values{"token": {token}})); answer.JSON["active"] != true {
				b.Fatal(answer.Body)
			}
		}
		s.perOp()
	})
}

func BenchmarkDiscovery(b *testing.B) {
	eachBench(b, func(b *testing.B, s *bench) {
		for b.Loop() {
			s.must(s.rp.Get("/.well-known/openid-configuration"))
		}
	})
}

// bench is a provider with somebody who signs in.
type bench struct {
	*harness.Installation
	b     *testing.B
	count *counter
	who   harness.Person
	rp    *harness.RelyingParty
}

func eachBench(b *testing.B, run func(b *testing.B, s *bench)) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			in := harness.Install(b, harness.Options{DSN: databases[name](b), DeliverAfter: time.Millisecond})
			s := &bench{Installation: in, b: b, count: new(counter)}
			in.Run(s.count.observe)
			s.who, s.rp = in.Person("ben"), in.WithNewSecret(harness.WebClient)
			s.tokens() // keys are made, statements prepared
			s.count.reset()
			run(b, s)
		})
	}
}

func (s *bench) signedIn() *harness.Browser {
	s.b.Helper()
	browser, a := s.Browser(), s.rp.Begin()
	s.rp.AuthCode(s.b, browser.Login(a.URL, s.who, "whatsapp"), a)
	return browser
}

func (s *bench) tokens() harness.Answer {
	s.b.Helper()
	a := s.rp.Begin()
	return s.must(s.rp.Redeem(s.rp.AuthCode(s.b, s.signedIn().Get(a.URL), a), a))
}

func (s *bench) must(a harness.Answer, err error) harness.Answer {
	s.b.Helper()
	if err != nil || a.Status != http.StatusOK {
		s.b.Fatalf("%d %v %s", a.Status, err, a.Body)
	}
	return a
}

// perOp reports what the database did, with the dispatcher, the sealer and the receipts in it.
func (s *bench) perOp() {
	s.count.mu.Lock()
	defer s.count.mu.Unlock()
	s.b.ReportMetric(float64(s.count.seen.statements())/float64(s.b.N), "statements/op")
	s.b.ReportMetric(float64(s.count.seen["commit"])/float64(s.b.N), "commits/op")
}

package fraud

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// TestSimulatedAttack plays an evening second by second with the real worker, guard and database: 2,000 honest logins by
// SMS over 40 prefixes, of which 85 to 95 % are completed, and 400 messages that somebody asks for to numbers of two
// prefixes, of which 0 to 3 % are answered. The figures stand in docs/sms-pumping.md.
func TestSimulatedAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute with the race detector, and does one thing after the other")
	}
	const price = 3500 // 0.35: the ranges that pay are dear
	cases := []struct {
		name    string
		instant bool          // the attacker's numbers have no WhatsApp
		lasts   time.Duration // all 400 messages
		most    int           // messages to one prefix before it is refused
	}{
		{"a patient attack", false, 4 * time.Hour, 26},
		{"an hour's attack", false, time.Hour, 32},
		{"a burst", false, 10 * time.Minute, 80},
		{"a patient attack on numbers without WhatsApp", true, 4 * time.Hour, 26},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulation(t, rand.New(rand.NewPCG(1, 2)))
			s.honest(2000, 40, 5*time.Hour)
			s.attack(400, []string{"+99450", "+99455"}, noon.Add(time.Hour), c.lasts, c.instant)
			s.play(5 * time.Hour)
			lost := storage.Money(0)
			for prefix, n := range s.attacked {
				t.Logf("%s: %d messages to %s went out, of %d", c.name, n, prefix, 200)
				if n > c.most || n < 20 {
					t.Errorf("%d messages to %s went out, at most %d may", n, prefix, c.most)
				}
				lost += storage.Money(n) * price
			}
			t.Logf("%s: %s lost, of %s", c.name, lost, storage.Money(400)*price)
			if len(s.refused) > 0 {
				t.Errorf("honest people were refused: %v", s.refused)
			}
			for _, v := range s.guard.Verdicts() {
				if v.Country != "AZ" {
					t.Errorf("an honest prefix was accused: %+v", v)
				}
			}
		})
	}
}

// simulation plays messages that are planned for a time.
type simulation struct {
	*scene
	random   *rand.Rand
	guard    *Guard
	plan     []planned
	attacked map[string]int // messages that went out, by prefix
	refused  map[string]int // honest ones that did not
}

type planned struct {
	at         time.Time
	row        storage.Conversion
	attacker   bool
	completeAt time.Time // zero when the passcode is not entered
}

func newSimulation(t *testing.T, random *rand.Rand) *simulation {
	s := newScene(t, storagetest.New(t))
	return &simulation{scene: s, random: random, guard: NewGuard(GuardConfig{Store: s.store, Log: s.worker.Log}),
		attacked: make(map[string]int), refused: make(map[string]int)}
}

// honest spreads logins over prefixes, some of them used much more than others, each with a habit of its own.
func (s *simulation) honest(n, prefixes int, over time.Duration) {
	completes := make([]float64, prefixes)
	for i := range completes {
		completes[i] = 0.85 + 0.10*s.random.Float64()
	}
	for range n {
		i := int(float64(prefixes) * s.random.Float64() * s.random.Float64())
		p := planned{
			at:  noon.Add(time.Duration(s.random.Int64N(int64(over)))),
			row: storage.Conversion{Prefix: fmt.Sprintf("+3933%02d", i), Country: "IT", Channel: storage.SMS},
		}
		if s.random.Float64() < completes[i] {
			p.completeAt = p.at.Add(8*time.Second + time.Duration(s.random.ExpFloat64()*25*float64(time.Second)))
		}
		s.plan = append(s.plan, p)
	}
}

func (s *simulation) attack(n int, prefixes []string, from time.Time, lasts time.Duration, instant bool) {
	for i := range n {
		p := planned{
			at: from.Add(lasts * time.Duration(i) / time.Duration(n)), attacker: true,
			row: storage.Conversion{Prefix: prefixes[i%len(prefixes)], Country: "AZ", Channel: storage.SMS, Instant: instant},
		}
		if s.random.Float64() < 0.03*s.random.Float64() {
			p.completeAt = p.at.Add(20 * time.Second)
		}
		s.plan = append(s.plan, p)
	}
}

// ledgerLag is how much later than it happened something is in the conversions: the sealer's second and the ledger's pause.
const ledgerLag = 6 * time.Second

// play lets the time pass in which all this happens: the guard is asked at each message, counts arrive late, the worker
// judges every 30 s and the guard reads its verdicts right after.
func (s *simulation) play(lasts time.Duration) {
	s.Helper()
	slices.SortFunc(s.plan, func(a, b planned) int { return a.at.Compare(b.at) })
	var counts []planned // what is to be counted, by the time at which it is
	for end := noon.Add(lasts); s.clock.Now().Before(end); {
		now := s.clock.Now()
		for len(s.plan) > 0 && !s.plan[0].at.After(now) {
			counts = append(counts, s.send(s.plan[0])...)
			s.plan = s.plan[1:]
		}
		var due []storage.Conversion
		counts = slices.DeleteFunc(counts, func(p planned) bool {
			if p.at.After(now) {
				return false
			}
			due = append(due, p.row)
			return true
		})
		if len(due) > 0 {
			s.add(due...)
		}
		if now.Sub(noon)%(30*time.Second) == 0 {
			s.work(0)
			if err := s.guard.Load(s.ctx); err != nil {
				s.Fatal(err)
			}
		}
		s.clock.Advance(10 * time.Second)
	}
}

// send asks the guard, and returns what the ledger will count.
func (s *simulation) send(p planned) []planned {
	if s.guard.Refuses(mfa.SMSQuestion{Country: p.row.Country, Prefix: p.row.Prefix, Instant: p.row.Instant}) {
		if !p.attacker {
			s.refused[p.row.Prefix]++
		}
		return nil
	}
	if p.attacker {
		s.attacked[p.row.Prefix]++
	}
	sent, verified := p, p
	sent.row.Sent, sent.at = 1, p.at.Add(ledgerLag)
	if p.completeAt.IsZero() {
		return []planned{sent}
	}
	verified.row.Verified, verified.at = 1, p.completeAt.Add(ledgerLag)
	return []planned{sent, verified}
}

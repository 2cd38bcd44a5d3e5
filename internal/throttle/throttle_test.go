package throttle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

func newThrottle(t *testing.T) *Throttle {
	t.Helper()
	keys, err := secret.New([]byte(strings.Repeat("k", secret.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	return New(Defaults(), keys)
}

func TestKeysHoldNoPersonalDataInClear(t *testing.T) {
	th := newThrottle(t)
	budgets, buckets := th.PasswordTry("ada.lovelace", "", "192.0.2.7")
	all := append(FailureKeys(budgets), Keys(buckets)...)
	all = append(all, Keys(th.Sends(Send{PersonID: "person-1", NumberHash: "hash-of-number", Source: "192.0.2.7", ClientID: "client-1", Prefix: "+393331", Country: "IT", Cost: map[storage.Channel]storage.Money{storage.SMS: 900}}))...)
	all = append(all, Keys(th.Tries("person-1", "phone-1"))...)
	all = append(all, Keys(th.Requests("192.0.2.7"))...)
	all = append(all, Keys(th.Requests("2001:db8:1:2::/64"))...)
	all = append(all, th.Notes("csrf.blocked", "192.0.2.7").Key, th.PasswordKeys("ada.lovelace")[0])
	for _, key := range all {
		for _, clear := range []string{"ada", "192.0", "2001", "person-1", "phone-1", "client-1", "hash-of", "3933"} {
			if strings.Contains(key, clear) {
				t.Errorf("key %q holds %q", key, clear)
			}
		}
	}
}

func TestOTP24_OneMessageDrawsOnEveryLimit(t *testing.T) {
	th := newThrottle(t)
	one := Send{PersonID: "p", NumberHash: "n", Source: "s", ClientID: "c", Prefix: "+39333", Country: "IT", Cost: map[storage.Channel]storage.Money{storage.SMS: 900}}
	base, l := th.Sends(one), Defaults()
	want := []storage.Throttle{
		{Interval: time.Hour / 6, Burst: l.SendsPerNumberHour, Cost: 1}, {Interval: day / 15, Burst: l.SendsPerNumberDay, Cost: 1},
		{Interval: day / 15, Burst: l.SendsPerNumberDay, Cost: 1}, {Interval: time.Hour / 300, Burst: l.SendsPerPrefixHour, Cost: 1},
		{Interval: time.Hour / 200, Burst: l.SendsPerSourceHour, Cost: 1}, {Interval: time.Hour / 5000, Burst: l.SendsPerClientHour, Cost: 1},
		{Interval: time.Hour / 20000, Burst: l.SendsPerHour, Cost: 1},
		{Interval: day / 250_000, Burst: 250_000, Cost: 900}, {Interval: day / 2_500_000, Burst: 2_500_000, Cost: 900},
		{Interval: day / 250_000, Burst: 250_000, Cost: 900}, {Interval: day / 10_000_000, Burst: 10_000_000, Cost: 900},
	}
	if len(base) != len(want) {
		t.Fatalf("%d buckets, want %d", len(base), len(want))
	}
	for i, b := range base {
		if want[i].Key = b.Key; b != want[i] {
			t.Errorf("bucket %d is %+v, want %+v", i, b, want[i])
		}
		if IsBudget(b.Key) != (i >= 7) {
			t.Errorf("bucket %d, %q, does not tell money from numbers", i, b.Key)
		}
	}
	for name, c := range map[string]struct {
		change func(*Send)
		shared int
	}{
		"another person with the same number": {func(s *Send) { s.PersonID = "q" }, 10},
		"another number of the same person":   {func(s *Send) { s.NumberHash = "m" }, 9},
		"another prefix":                      {func(s *Send) { s.Prefix = "+39334" }, 9},
		"another country":                     {func(s *Send) { s.Country = "SM" }, 10},
		"another source":                      {func(s *Send) { s.Source = "t" }, 9},
		"another client":                      {func(s *Send) { s.ClientID = "d" }, 10},
	} {
		other, shared := one, 0
		c.change(&other)
		for _, key := range Keys(th.Sends(other)) {
			if slices.Contains(Keys(base), key) {
				shared++
			}
		}
		if shared != c.shared {
			t.Errorf("%s shares %d limits, want %d", name, shared, c.shared)
		}
	}
}

func TestOTP24_SeveralMessagesDrawTogether(t *testing.T) {
	for _, b := range newThrottle(t).Sends(Send{Messages: 3, Cost: map[storage.Channel]storage.Money{storage.SMS: 2100}}) {
		if want := map[bool]int64{false: 3, true: 2100}[IsBudget(b.Key)]; b.Cost != want {
			t.Errorf("%s: %d, want %d", b.Key, b.Cost, want)
		}
	}
	if got := newThrottle(t).Spends(Send{}); got != nil {
		t.Errorf("what costs nothing draws on %v", got)
	}
}

func TestLimitsCheck_SaysWhatToDo(t *testing.T) {
	if err := Defaults().Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Limits){
		"limits.spend_per_day is 0.00: set an amount above 0": func(l *Limits) { l.SpendPerDay = 0 },
		"limits.spend_per_prefix_day is -1.00":                func(l *Limits) { l.SpendPerPrefixDay = -storage.MoneyUnit },
		"limits.spend_per_country_day is 1000000.0001":        func(l *Limits) { l.SpendPerCountryDay = mostMoney + 1 },
		"limits.spend_per_source_day is 0.00":                 func(l *Limits) { l.SpendPerSourceDay = 0 },
		"limits.sends_per_prefix_hour is 0: set it between":   func(l *Limits) { l.SendsPerPrefixHour = 0 },
		"limits.factor_failures is 101":                       func(l *Limits) { l.FactorFailures = 101 },
		"limits.password_delay and password_delay_max":        func(l *Limits) { l.PasswordDelay = 0 },
	} {
		l := Defaults()
		change(&l)
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestPW15_StrangersAndKnownBrowsersHaveSeparateBudgets(t *testing.T) {
	th := newThrottle(t)
	known, _ := th.PasswordTry("ada", "browser-1", "192.0.2.7")
	other, _ := th.PasswordTry("ada", "browser-2", "192.0.2.7")
	stranger, _ := th.PasswordTry("ada", "", "192.0.2.7")
	elsewhere, _ := th.PasswordTry("ada", "", "198.51.100.1")
	somebody, _ := th.PasswordTry("bruno", "", "192.0.2.7")

	for _, k := range FailureKeys(known) {
		if slices.Contains(FailureKeys(stranger), k) || slices.Contains(FailureKeys(other), k) {
			t.Error("a known browser shares a budget with somebody else")
		}
	}
	if stranger[0].Key == elsewhere[0].Key || stranger[1].Key != elsewhere[1].Key {
		t.Error("strangers must have a budget per source and one over all sources")
	}
	for _, k := range FailureKeys(slices.Concat(known, other, stranger, elsewhere)) {
		if !strings.HasPrefix(k, th.PasswordKeys("ada")[0]) {
			t.Errorf("`user unlock` would leave %s", k)
		}
	}
	if strings.HasPrefix(somebody[0].Key, th.PasswordKeys("ada")[0]) {
		t.Error("`user unlock` would clear somebody else's budget")
	}
	if stranger[1].Key == somebody[1].Key {
		t.Error("two persons share a budget")
	}
	if stranger[1].Free <= stranger[0].Free {
		t.Error("one source could use up what strangers have for all sources without a wait")
	}
}

func TestPW16_OneSourceIsBoundOverAllPersons(t *testing.T) {
	th := newThrottle(t)
	_, a := th.PasswordTry("ada", "", "192.0.2.7")
	_, b := th.PasswordTry("bruno", "browser", "192.0.2.7")
	if len(a) != 1 || a[0].Key != b[0].Key || a[0].Burst != Defaults().PasswordsPerSourceHour {
		t.Errorf("buckets %v and %v, want the same one of the source", a, b)
	}
}

// Two channels of one challenge draw on budgets of their own.
func TestSpends_PumpingSMSLeavesWhatsAppItsBudget(t *testing.T) {
	th := newThrottle(t)
	keys := map[string]int64{}
	for _, b := range th.Spends(Send{Prefix: "+39333", Country: "IT", Source: "s", Cost: map[storage.Channel]storage.Money{storage.SMS: 900, storage.WhatsApp: 300}}) {
		keys[b.Key] = b.Cost
	}
	sms := th.Spends(Send{Prefix: "+39333", Country: "IT", Source: "s", Cost: map[storage.Channel]storage.Money{storage.SMS: 900}})
	if len(keys) != 8 || len(sms) != 4 {
		t.Fatalf("%d budgets for both, %d for SMS", len(keys), len(sms))
	}
	for _, b := range sms {
		if keys[b.Key] != 900 {
			t.Errorf("%s: %d of both, want the 900 of SMS", b.Key, keys[b.Key])
		}
	}
}

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
	all = append(all, Keys(th.Sends("person-1", "hash-of-number", "192.0.2.7", "client-1"))...)
	all = append(all, Keys(th.Tries("person-1", "phone-1"))...)
	all = append(all, th.Requests("192.0.2.7").Key, th.Notes("csrf.blocked", "192.0.2.7").Key, th.PasswordKeys("ada.lovelace"))
	for _, key := range all {
		for _, clear := range []string{"ada", "192.0", "person-1", "phone-1", "client-1", "hash-of"} {
			if strings.Contains(key, clear) {
				t.Errorf("key %q holds %q", key, clear)
			}
		}
	}
}

func TestOTP24_OneMessageDrawsOnEveryLimit(t *testing.T) {
	th := newThrottle(t)
	base := th.Sends("p", "n", "s", "c")
	l := Defaults()
	want := []storage.Throttle{
		{Interval: time.Hour / 6, Burst: l.SendsPerNumberHour}, {Interval: 24 * time.Hour / 15, Burst: l.SendsPerNumberDay},
		{Interval: 24 * time.Hour / 15, Burst: l.SendsPerNumberDay}, {Interval: time.Hour / 200, Burst: l.SendsPerSourceHour},
		{Interval: time.Hour / 5000, Burst: l.SendsPerClientHour}, {Interval: time.Hour / 20000, Burst: l.SendsPerHour},
	}
	for i, b := range base {
		if b.Interval != want[i].Interval || b.Burst != want[i].Burst {
			t.Errorf("bucket %d is %d per %s, want %d per %s", i, b.Burst, b.Interval, want[i].Burst, want[i].Interval)
		}
	}
	for name, c := range map[string]struct {
		other  []storage.Throttle
		shared int
	}{
		"another person with the same number": {th.Sends("q", "n", "s", "c"), 5},
		"another number of the same person":   {th.Sends("p", "m", "s", "c"), 4},
		"another source":                      {th.Sends("p", "n", "t", "c"), 5},
		"another client":                      {th.Sends("p", "n", "s", "d"), 5},
	} {
		shared := 0
		for _, key := range Keys(c.other) {
			if slices.Contains(Keys(base), key) {
				shared++
			}
		}
		if shared != c.shared {
			t.Errorf("%s shares %d limits, want %d", name, shared, c.shared)
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
		if !strings.HasPrefix(k, th.PasswordKeys("ada")) {
			t.Errorf("`user unlock` would leave %s", k)
		}
	}
	if strings.HasPrefix(somebody[0].Key, th.PasswordKeys("ada")) {
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

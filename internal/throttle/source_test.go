package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestDOS05_OneHouseholdIsOneSourceInOneSite(t *testing.T) {
	for name, c := range map[string]struct {
		addr, source, around string
	}{
		"IPv4":                        {"192.0.2.7", "192.0.2.7", ""},
		"IPv4 in IPv6":                {"::ffff:192.0.2.7", "192.0.2.7", ""},
		"IPv4 in IPv6 with a zone":    {"::ffff:192.0.2.7%eth0", "192.0.2.7", ""},
		"IPv6":                        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		"the last address of a site":  {"2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:ffff::/64", "2001:db8:1::/48"},
		"the first household":         {"2001:db8:1::", "2001:db8:1::/64", "2001:db8:1::/48"},
		"a zone":                      {"fe80::1%eth0", "fe80::/64", "fe80::/48"},
		"loopback":                    {"::1", "::/64", "::/48"},
		"6to4: a site for each IPv4":  {"2002:c000:207:1::1", "2002:c000:207:1::/64", "2002:c000:207::/48"},
		"IPv4 behind a translator":    {"64:ff9b::c000:207", "64:ff9b::/64", "64:ff9b::/48"},
		"no address, of a local peer": {"", "", ""},
	} {
		addr, _ := netip.ParseAddr(c.addr)
		source := Source(addr)
		want := []Network{{c.source, 1}}
		if c.around != "" {
			want = append(want, Network{c.around, siteTimes})
		}
		if got := Networks(source); source != c.source || !slices.Equal(got, want) {
			t.Errorf("%s: %q in %v, want %v", name, source, got, want)
		}
	}
}

func TestDOS05_TwoSourcesShareASiteWhereTheir48BitsAreTheSame(t *testing.T) {
	shared := func(a, b [16]byte) bool {
		networks := Networks(Source(netip.AddrFrom16(b)))
		return slices.ContainsFunc(Networks(Source(netip.AddrFrom16(a))), func(n Network) bool { return slices.Contains(networks, n) })
	}
	right := func(a, b [16]byte, same uint8) bool {
		a[0], b[0] = a[0]|0x20, b[0]|0x20 // no IPv4
		copy(b[:same%9], a[:])            // up to a whole household
		return shared(a, b) == ([6]byte(a[:]) == [6]byte(b[:]))
	}
	if err := quick.Check(right, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestDOS05_WhoChangesHouseholdsMeetsTheLimitOfTheSite draws once from each of many households.
func TestDOS05_WhoChangesHouseholdsMeetsTheLimitOfTheSite(t *testing.T) {
	limits := Defaults()
	limits.RequestsPerSourceMinute, limits.PasswordsPerSourceHour, limits.SendsPerSourceHour = 3, 3, 3
	th, store := newThrottle(t), storagetest.New(t)
	th.limits = limits
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	tx := func(fn func(ctx context.Context) error) {
		t.Helper()
		if err := store.InTx(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	// Of what a message draws on this is about what other sources share no part of.
	send := func(source string, budgets bool) (own []storage.Throttle) {
		from := func(source string) []storage.Throttle {
			return th.Sends(Send{PersonID: "p", NumberHash: "n", Source: source, ClientID: "c", Prefix: "+39333", Country: "IT",
				Cost: map[storage.Channel]storage.Money{storage.SMS: limits.SpendPerSourceDay / 3}})
		}
		shared := Keys(from(""))
		for _, b := range from(source) {
			if IsBudget(b.Key) == budgets && !slices.Contains(shared, b.Key) {
				own = append(own, b)
			}
		}
		return own
	}
	for name, drawn := range map[string]func(source string) []storage.Throttle{
		"requests":  th.Requests,
		"passwords": th.PasswordSource,
		"messages":  func(source string) []storage.Throttle { return send(source, false) },
		"money":     func(source string) []storage.Throttle { return send(source, true) },
	} {
		t.Run(name, func(t *testing.T) {
			take := func(source string) (refused *storage.Refusal) {
				t.Helper()
				tx(func(ctx context.Context) (err error) {
					refused, err = store.Take(ctx, now, drawn(source)...)
					return err
				})
				return refused
			}
			household := func(n int) string { return fmt.Sprintf("2001:db8:1:%x::/64", n) }
			for i := range 3 {
				if r := take(household(0)); r != nil {
					t.Fatalf("a household is refused its number %d: %+v", i+1, r)
				}
			}
			if take(household(0)) == nil {
				t.Fatal("a household has more than its limit")
			}
			i := 3
			for take(household(i)) == nil {
				if i++; i > 3*siteTimes {
					t.Fatal("a site has no limit")
				}
			}
			if i != 3*siteTimes {
				t.Errorf("%d drew in one site, want %d", i, 3*siteTimes)
			}
			if r := take(household(0xfff)); r == nil || !r.RetryAt.After(now) {
				t.Errorf("a household that never drew: %+v, want a time to come again", r)
			}
			for _, source := range []string{"2001:db8:2::/64", "192.0.2.7"} {
				if r := take(source); r != nil {
					t.Errorf("%s, which is elsewhere, is refused: %+v", source, r)
				}
			}
			tx(func(ctx context.Context) error { return store.GiveBack(ctx, now, drawn(household(0))...) })
			for _, source := range []string{household(0), household(1)} {
				if r := take(source); (r == nil) != (source == household(0)) {
					t.Errorf("after one was given back to both, %s: %+v", source, r)
				}
			}
		})
	}
}

func TestDOS05_NoBucketOfASiteHoldsMoreThanABudgetMay(t *testing.T) {
	th := newThrottle(t)
	th.limits.SpendPerSourceDay = mostMoney
	for _, b := range th.Spends(Send{Source: "2001:db8:1:2::/64", Cost: map[storage.Channel]storage.Money{storage.SMS: 900}}) {
		if b.Interval < time.Microsecond || b.Burst > int(mostMoney) {
			t.Errorf("%+v is finer than storage counts", b)
		}
	}
}

package throttle

import (
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/storage"
)

// Send is one message, or what several of one challenge took together.
type Send struct {
	PersonID, NumberHash, Source, ClientID string
	// Prefix is the number without its last six digits; Country an ISO 3166-1 code.
	Prefix, Country string
	// Messages is how many they are; 0 means 1.
	Messages int
	// Cost is what they cost together by the rate cards, on each channel.
	Cost map[storage.Channel]storage.Money
}

// spending begins the keys of budgets in money.
const spending = "spend-"

// IsBudget says whether a key is that of a budget in money, and not of a limit in numbers.
func IsBudget(key string) bool { return strings.HasPrefix(key, spending) }

// Sends are the buckets that a message draws on before it is announced (OTP-24). A successful verification gives them
// back, so that they count what nobody proved to have asked for: pumping, and not the people who sign in.
func (t *Throttle) Sends(s Send) []storage.Throttle {
	l := t.limits
	counted := slices.Concat(
		buckets(t.keysOf("send-number-hour", s.NumberHash), time.Hour, l.SendsPerNumberHour),
		buckets(t.keysOf("send-number-day", s.NumberHash), day, l.SendsPerNumberDay),
		t.personSends(s.PersonID),
		buckets(t.keysOf("send-prefix-hour", s.Prefix), time.Hour, l.SendsPerPrefixHour),
		t.ofSource("send-source-hour", "", s.Source, time.Hour, l.SendsPerSourceHour),
		buckets(t.keysOf("send-client-hour", s.ClientID), time.Hour, l.SendsPerClientHour),
		buckets([]string{"send-all-hour"}, time.Hour, l.SendsPerHour))
	for i := range counted {
		counted[i].Cost = int64(max(1, s.Messages))
	}
	return append(counted, t.Spends(s)...)
}

func (t *Throttle) personSends(personID string) []storage.Throttle {
	return buckets(t.keysOf("send-person-day", personID), day, t.limits.SendsPerNumberDay)
}

// Spends are the budgets in money among them; none for what costs nothing. Each channel has its own: whoever pumps SMS uses
// up what SMS may cost, and people still sign in by WhatsApp.
func (t *Throttle) Spends(s Send) []storage.Throttle {
	l := t.limits
	var all []storage.Throttle
	for _, ch := range []storage.Channel{storage.SMS, storage.WhatsApp} {
		cost := s.Cost[ch]
		if cost <= 0 {
			continue
		}
		drawn := slices.Concat(
			buckets(t.keysOf(spending+"prefix-day", string(ch)+"|"+s.Prefix), day, int(l.SpendPerPrefixDay)),
			buckets(t.keysOf(spending+"country-day", string(ch)+"|"+s.Country), day, int(l.SpendPerCountryDay)),
			t.ofSource(spending+"source-day", string(ch)+"|", s.Source, day, int(l.SpendPerSourceDay)),
			buckets([]string{spending + "all-day-" + string(ch)}, day, int(l.SpendPerDay)))
		for i := range drawn {
			drawn[i].Cost = int64(cost)
		}
		all = append(all, drawn...)
	}
	return all
}

const day = 24 * time.Hour

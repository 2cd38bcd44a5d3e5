package throttle

import (
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
	// Cost is what they cost together by the rate cards.
	Cost storage.Money
}

// spending begins the keys of budgets in money.
const spending = "spend-"

// IsBudget says whether a key is that of a budget in money, and not of a limit in numbers.
func IsBudget(key string) bool { return strings.HasPrefix(key, spending) }

// Sends are the buckets that a message draws on before it is announced (OTP-24). A successful verification gives them
// back, so that they count what nobody proved to have asked for: pumping, and not the people who sign in.
func (t *Throttle) Sends(s Send) []storage.Throttle {
	l := t.limits
	counted := []storage.Throttle{
		bucket(t.key("send-number-hour", s.NumberHash), time.Hour, l.SendsPerNumberHour),
		bucket(t.key("send-number-day", s.NumberHash), day, l.SendsPerNumberDay),
		bucket(t.key("send-person-day", s.PersonID), day, l.SendsPerNumberDay),
		bucket(t.key("send-prefix-hour", s.Prefix), time.Hour, l.SendsPerPrefixHour),
		bucket(t.key("send-source-hour", s.Source), time.Hour, l.SendsPerSourceHour),
		bucket(t.key("send-client-hour", s.ClientID), time.Hour, l.SendsPerClientHour),
		bucket("send-all-hour", time.Hour, l.SendsPerHour),
	}
	for i := range counted {
		counted[i].Cost = int64(max(1, s.Messages))
	}
	return append(counted, t.Spends(s)...)
}

// Spends are the budgets in money among them; none for what costs nothing.
func (t *Throttle) Spends(s Send) []storage.Throttle {
	l := t.limits
	if s.Cost <= 0 {
		return nil
	}
	budget := func(key string, perDay storage.Money) storage.Throttle {
		b := bucket(key, day, int(perDay))
		b.Cost = int64(s.Cost)
		return b
	}
	return []storage.Throttle{
		budget(t.key(spending+"prefix-day", s.Prefix), l.SpendPerPrefixDay),
		budget(t.key(spending+"country-day", s.Country), l.SpendPerCountryDay),
		budget(t.key(spending+"source-day", s.Source), l.SpendPerSourceDay),
		budget(spending+"all-day", l.SpendPerDay),
	}
}

const day = 24 * time.Hour

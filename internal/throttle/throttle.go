// Package throttle decides how often something may happen: which buckets and budgets an act draws on. The counters live
// in storage, keyed on the person, the factor, the number and the source, so that they survive new challenges, new
// AuthRequests, restarts and other nodes. Keys hold keyed hashes, never a name, number or address in clear.
package throttle

import (
	"time"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// Limits are the numbers an operator may set (configuration `limits.*`). Those of one address are of a Source, and
// several times as many of the Networks around it.
type Limits struct {
	// SendsPerNumberHour and SendsPerNumberDay bound unverified messages to one phone number.
	SendsPerNumberHour int `yaml:"sends_per_number_hour"`
	SendsPerNumberDay  int `yaml:"sends_per_number_day"`
	// SendsPerSourceHour bounds unverified messages asked for from one address; mobile networks put thousands of people
	// behind one.
	SendsPerSourceHour int `yaml:"sends_per_source_hour"`
	// SendsPerClientHour and SendsPerHour bound unverified messages of one client and of the whole installation: the
	// last line before a large bill.
	SendsPerClientHour int `yaml:"sends_per_client_hour"`
	SendsPerHour       int `yaml:"sends_per_hour"`
	// SendsPerPrefixHour bounds unverified messages to numbers that differ in their last six digits only.
	SendsPerPrefixHour int `yaml:"sends_per_prefix_hour"`
	// Money for unverified messages on each channel, in the installation's currency, to one prefix, to one country, asked for from one
	// address, and of the whole installation.
	SpendPerPrefixDay  storage.Money `yaml:"spend_per_prefix_day"`
	SpendPerCountryDay storage.Money `yaml:"spend_per_country_day"`
	SpendPerSourceDay  storage.Money `yaml:"spend_per_source_day"`
	SpendPerDay        storage.Money `yaml:"spend_per_day"`
	// WrongPasscodesPerHour and WrongPasscodesPerDay bound wrong passcodes per person and factor.
	WrongPasscodesPerHour int `yaml:"wrong_passcodes_per_hour"`
	WrongPasscodesPerDay  int `yaml:"wrong_passcodes_per_day"`
	// FactorFailures in a row disable the phone factor.
	FactorFailures int `yaml:"factor_failures"`
	// PasswordFree wrong passwords cost nothing; then the wait grows from PasswordDelay to PasswordDelayMax. At
	// PasswordFailures the password is shut for browsers of that kind until an operator unlocks it.
	PasswordFree     int           `yaml:"password_free"`
	PasswordDelay    time.Duration `yaml:"password_delay"`
	PasswordDelayMax time.Duration `yaml:"password_delay_max"`
	PasswordFailures int           `yaml:"password_failures"`
	// PasswordsPerSourceHour bounds password tries from one address over all persons, against spraying.
	PasswordsPerSourceHour int `yaml:"passwords_per_source_hour"`
	// RequestsPerSourceMinute bounds authorization requests from one address.
	RequestsPerSourceMinute int `yaml:"requests_per_source_minute"`
}

// Defaults are the limits of a new installation.
func Defaults() Limits {
	return Limits{
		SendsPerNumberHour: 6, SendsPerNumberDay: 15, SendsPerSourceHour: 200,
		SendsPerClientHour: 5000, SendsPerHour: 20000, SendsPerPrefixHour: 300,
		SpendPerPrefixDay: 25 * storage.MoneyUnit, SpendPerCountryDay: 250 * storage.MoneyUnit,
		SpendPerSourceDay: 25 * storage.MoneyUnit, SpendPerDay: 1000 * storage.MoneyUnit,
		WrongPasscodesPerHour: 10, WrongPasscodesPerDay: 20, FactorFailures: 30,
		PasswordFree: 5, PasswordDelay: 30 * time.Second, PasswordDelayMax: time.Hour, PasswordFailures: 30,
		PasswordsPerSourceHour: 600, RequestsPerSourceMinute: 600,
	}
}

// Throttle makes buckets and budgets.
type Throttle struct {
	limits Limits
	keys   *secret.Keys
}

// New returns a Throttle with these limits; keys hash what identifies people.
func New(limits Limits, keys *secret.Keys) *Throttle { return &Throttle{limits: limits, keys: keys} }

// Limits returns the numbers in force.
func (t *Throttle) Limits() Limits { return t.limits }

func (t *Throttle) key(kind, value string) string {
	return kind + ":" + t.keys.Hash(secret.Names, kind+"|"+value)[:22]
}

// keysOf is key under each root secret that is configured. While one replaces another everything is counted under both, on
// every node: no limit begins anew, neither when nodes change sides nor when the old one goes (KEY-06).
func (t *Throttle) keysOf(kind, value string) []string {
	keys := t.keys.Hashes(secret.Names, kind+"|"+value)
	for i, hash := range keys {
		keys[i] = kind + ":" + hash[:22]
	}
	return keys
}

func buckets(keys []string, per time.Duration, n int) []storage.Throttle {
	all := make([]storage.Throttle, len(keys))
	for i, key := range keys {
		all[i] = storage.Throttle{Key: key, Interval: per / time.Duration(n), Burst: n}
	}
	return all
}

// Tries are the buckets that one passcode try draws on, before it is compared; a right one gives them back.
func (t *Throttle) Tries(personID, phoneID string) []storage.Throttle {
	l := t.limits
	return append(buckets(t.keysOf("try-hour", personID+"|"+phoneID), time.Hour, l.WrongPasscodesPerHour),
		buckets(t.keysOf("try-day", personID+"|"+phoneID), day, l.WrongPasscodesPerDay)...)
}

// OfPerson are the buckets that this person alone draws on.
func (t *Throttle) OfPerson(personID, phoneID string) []storage.Throttle {
	return append(t.Tries(personID, phoneID), t.personSends(personID)...)
}

// PasswordTry are the budgets and buckets that one password try draws on, before it is checked. The name is the
// canonical user name, known or not, so that both cost the same. browser is the id of a browser this person has signed
// in with before, or empty: known browsers have a budget each, strangers share one per source and one over all sources
// with a larger free part, so that nobody locks a person out of their own browser (PW-15). Budgets need none of a /48:
// whoever changes from source to source inside one meets that of all sources.
func (t *Throttle) PasswordTry(name, browser, source string) ([]storage.FailureBudget, []storage.Throttle) {
	l := t.limits
	budget := func(key string, free, limit int) storage.FailureBudget {
		return storage.FailureBudget{Key: key, Free: free, Base: l.PasswordDelay, Cap: l.PasswordDelayMax, Limit: limit}
	}
	prefixes := t.PasswordKeys(name)
	var budgets []storage.FailureBudget
	if browser != "" {
		for i, known := range t.keysOf("known", browser) {
			budgets = append(budgets, budget(prefixes[i]+known, l.PasswordFree, l.PasswordFailures))
		}
		return budgets, t.PasswordSource(source)
	}
	for i, from := range t.keysOf("from", source) {
		budgets = append(budgets, budget(prefixes[i]+from, l.PasswordFree, 0),
			budget(prefixes[i]+"stranger", 2*l.PasswordFree, l.PasswordFailures))
	}
	return budgets, t.PasswordSource(source)
}

// PasswordSource is what one source draws on over all persons (PW-16). A finished login gives back what it took.
func (t *Throttle) PasswordSource(source string) []storage.Throttle {
	return t.ofSource("password-source", "", source, time.Hour, t.limits.PasswordsPerSourceHour)
}

// PasswordKeys are what the keys of all budgets of a name begin with: what `user unlock` clears.
func (t *Throttle) PasswordKeys(name string) []string {
	keys := t.keysOf("password", name)
	for i := range keys {
		keys[i] += ":"
	}
	return keys
}

// Requests are the buckets that one authorization request draws on (DOS-07).
func (t *Throttle) Requests(source string) []storage.Throttle {
	return t.ofSource("request", "", source, time.Minute, t.limits.RequestsPerSourceMinute)
}

// Keys are the keys of buckets, for giving back.
func Keys(buckets []storage.Throttle) []string {
	keys := make([]string, len(buckets))
	for i, b := range buckets {
		keys[i] = b.Key
	}
	return keys
}

// FailureKeys are the keys of budgets, for clearing.
func FailureKeys(budgets []storage.FailureBudget) []string {
	keys := make([]string, len(budgets))
	for i, b := range budgets {
		keys[i] = b.Key
	}
	return keys
}

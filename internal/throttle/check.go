package throttle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parola-id/parola/storage"
)

// mostMoney bounds a budget per day, so that a bucket's spacing stays a whole number of microseconds.
const mostMoney = 1_000_000 * storage.MoneyUnit

// Check refuses limits that are none, each with a sentence that says what to do.
func (l Limits) Check() error {
	var errs []error
	count := func(name string, got, high int) {
		if got < 1 || got > high {
			errs = append(errs, fmt.Errorf("limits.%s is %d: set it between 1 and %d", name, got, high))
		}
	}
	for name, n := range map[string]int{
		"sends_per_number_hour": l.SendsPerNumberHour, "sends_per_number_day": l.SendsPerNumberDay,
		"sends_per_source_hour": l.SendsPerSourceHour, "sends_per_client_hour": l.SendsPerClientHour,
		"sends_per_hour": l.SendsPerHour, "sends_per_prefix_hour": l.SendsPerPrefixHour,
		"wrong_passcodes_per_hour": l.WrongPasscodesPerHour, "wrong_passcodes_per_day": l.WrongPasscodesPerDay,
		"password_free": l.PasswordFree, "passwords_per_source_hour": l.PasswordsPerSourceHour,
		"requests_per_source_minute": l.RequestsPerSourceMinute,
	} {
		count(name, n, 1_000_000)
	}
	count("factor_failures", l.FactorFailures, 100)
	count("password_failures", l.PasswordFailures, 100)
	for name, m := range map[string]storage.Money{
		"spend_per_prefix_day": l.SpendPerPrefixDay, "spend_per_country_day": l.SpendPerCountryDay,
		"spend_per_source_day": l.SpendPerSourceDay, "spend_per_day": l.SpendPerDay,
	} {
		if m <= 0 || m > mostMoney {
			errs = append(errs, fmt.Errorf("limits.%s is %s: set an amount above 0 and up to %s; without one, nothing bounds the bill",
				name, m, mostMoney))
		}
	}
	if l.PasswordDelay < time.Second || l.PasswordDelayMax < l.PasswordDelay || l.PasswordDelayMax > day {
		errs = append(errs, fmt.Errorf("limits.password_delay and password_delay_max are %s and %s: set them between 1s and 24h, in this order",
			l.PasswordDelay, l.PasswordDelayMax))
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

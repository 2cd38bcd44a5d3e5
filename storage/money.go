package storage

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in ten-thousandths of the one currency that an installation counts in: messages cost fractions of a
// cent. It prints and parses as a decimal number, such as 12.5 or 0.0092.
type Money int64

// MoneyUnit is one unit of the currency.
const MoneyUnit Money = 10_000

// String is the amount with as many decimals as it needs, at least two.
func (m Money) String() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", uint64(-m)
	}
	s := fmt.Sprintf("%s%d.%04d", sign, n/uint64(MoneyUnit), n%uint64(MoneyUnit))
	return strings.TrimSuffix(strings.TrimSuffix(s, "0"), "0")
}

// MarshalText writes the amount as String does.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a decimal number with at most four decimals.
func (m *Money) UnmarshalText(text []byte) error {
	parsed, err := ParseMoney(string(text))
	if err == nil {
		*m = parsed
	}
	return err
}

// ParseMoney reads a decimal number that is not negative, with at most four decimals and below 10¹².
func ParseMoney(s string) (Money, error) {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(s), ".")
	if whole == "" || len(whole) > 12 || len(fraction) > 4 || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not an amount such as 12.5 or 0.0092, with at most four decimals", s)
	}
	n, err := strconv.ParseInt(whole+(fraction + "0000")[:4], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount: %w", s, err)
	}
	return Money(n), nil
}

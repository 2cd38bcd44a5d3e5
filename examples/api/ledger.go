package api

import (
	"errors"
	"sync"
)

// openingBalance is what everyone starts with, in euro cents.
const openingBalance = 100_000

var errInsufficientFunds = errors.New("insufficient funds")

// ledger holds the pretend money, per subject, in euro cents, until the process ends.
type ledger struct {
	mu       sync.Mutex
	spent    map[string]int64
	payments int
}

func newLedger() *ledger { return &ledger{spent: make(map[string]int64)} }

func (l *ledger) balance(subject string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return openingBalance - l.spent[subject]
}

// pay takes cents from subject's account and returns the payment's number and the balance that is left.
func (l *ledger) pay(subject string, cents int64) (number int, balance int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := openingBalance - l.spent[subject]
	if cents > left {
		return 0, left, errInsufficientFunds
	}
	l.spent[subject] += cents
	l.payments++
	return l.payments, left - cents, nil
}

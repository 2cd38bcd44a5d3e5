package sms

import "github.com/parola-id/parola/mfa"

// line is a line of an error table, written without field names.
type line mfa.Code

// What the tables say of a code, by the letters of docs/carrier-codes.md.
const (
	classR = mfa.ClassRetry
	classS = mfa.ClassFallback
	classC = mfa.ClassConfig
	classN = mfa.ClassNumber

	ofMessage = mfa.ScopeMessage
	ofCountry = mfa.ScopeCountry
	ofCarrier = mfa.ScopeCarrier
)

func table(lines ...line) []mfa.Code {
	codes := make([]mfa.Code, len(lines))
	for i, l := range lines {
		codes[i] = mfa.Code(l)
	}
	return codes
}

package sms

import (
	"regexp"
	"strconv"

	"github.com/parola-id/parola/mfa"
)

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

var codeWord = regexp.MustCompile(`^[A-Za-z_]{1,64}$`)

// wordOrNone keeps from our records what is no code of a carrier that names them: a number might stand there.
func wordOrNone(code string) string {
	if codeWord.MatchString(code) {
		return code
	}
	return "none"
}

// numberOrNone is the same for carriers that number them, with five digits at most: what has more may be a passcode.
func numberOrNone(code string) string {
	if n, err := strconv.Atoi(code); err == nil && n >= 0 && n <= 99_999 {
		return strconv.Itoa(n)
	}
	return "none"
}

func table(lines ...line) []mfa.Code {
	codes := make([]mfa.Code, len(lines))
	for i, l := range lines {
		codes[i] = mfa.Code(l)
	}
	return codes
}

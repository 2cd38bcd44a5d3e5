package api

import "slices"

// The provider's documented acr values. They are an order, not a set: a passkey login satisfies whoever asked for a
// passcode.
const (
	acrPassword          = "urn:parola:acr:password"
	acrPhone             = "urn:parola:acr:phone"
	acrPhoneNoSMS        = "urn:parola:acr:phone-no-sms"
	acrPhishingResistant = "urn:parola:acr:phishing-resistant"

	// anyACR is the requirement of an operation that takes every login.
	anyACR = ""
)

// acrMeets reports whether a login at acr got is strong enough for required. A value that this API does not know is
// worth nothing, whatever its name promises.
func acrMeets(got, required string) bool {
	if required == anyACR {
		return true
	}
	weakestFirst := []string{acrPassword, acrPhone, acrPhoneNoSMS, acrPhishingResistant}
	have, need := slices.Index(weakestFirst, got), slices.Index(weakestFirst, required)
	return need >= 0 && have >= need
}

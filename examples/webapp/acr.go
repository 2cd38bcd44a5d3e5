package webapp

import "slices"

// The provider's documented acr values, from which a stronger one satisfies whoever asked for a weaker.
const (
	acrPassword          = "urn:parola:acr:password"
	acrPhone             = "urn:parola:acr:phone"
	acrPhoneNoSMS        = "urn:parola:acr:phone-no-sms"
	acrPhishingResistant = "urn:parola:acr:phishing-resistant"
)

// acrMeets reports whether a login at acr got is strong enough for required. A value that this application does not
// know is worth nothing, whatever its name promises.
func acrMeets(got, required string) bool {
	weakestFirst := []string{acrPassword, acrPhone, acrPhoneNoSMS, acrPhishingResistant}
	have, need := slices.Index(weakestFirst, got), slices.Index(weakestFirst, required)
	return need >= 0 && have >= need
}

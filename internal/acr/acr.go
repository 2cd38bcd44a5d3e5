// Package acr holds the authentication context classes that Parola can attest, their order, and how acr, amr and
// mfa_channel follow from what happened in a login (docs/design.md, What the tokens say). idp/login records them on the session, idp/oidc writes
// them into tokens; neither decides them a second time. No value claims a NIST assurance level (OA-75).
package acr

// The classes, weakest first.
const (
	Password          = "urn:parola:acr:password" // reserved: no default policy yields it
	Phone             = "urn:parola:acr:phone"
	PhoneNoSMS        = "urn:parola:acr:phone-no-sms"
	PhishingResistant = "urn:parola:acr:phishing-resistant"
)

// Strongest is the highest class that this release can reach: there are no passkeys yet.
const Strongest = PhoneNoSMS

var order = []string{Password, Phone, PhoneNoSMS, PhishingResistant}

// rank is the place in the order, from 1; 0 for a class that is not ours.
func rank(class string) int {
	for i, c := range order {
		if c == class {
			return i + 1
		}
	}
	return 0
}

// All returns the classes this release can reach, weakest first: acr_values_supported of the discovery document.
func All() []string { return append([]string(nil), order[rank(Phone)-1:rank(Strongest)]...) }

// Known says whether class is one of ours.
func Known(class string) bool { return rank(class) > 0 }

// Satisfies says whether a login of class have is as good as want. An empty want asks for nothing; an unknown want is
// never satisfied.
func Satisfies(have, want string) bool {
	return want == "" || rank(want) > 0 && rank(have) >= rank(want)
}

// SatisfiesAny says whether have satisfies one of want; no wants ask for nothing (OA-73: an essential claim is met by
// any of its values).
func SatisfiesAny(have string, want []string) bool {
	for _, w := range want {
		if Satisfies(have, w) {
			return true
		}
	}
	return len(want) == 0
}

// Reachable says whether a login of this release can satisfy want.
func Reachable(want string) bool { return Satisfies(Strongest, want) }

// Weakest returns the lowest of the classes that this release can reach: what is enough to satisfy one of them. It is
// empty when none can be reached.
func Weakest(classes []string) string {
	least := ""
	for _, c := range classes {
		if c != "" && Reachable(c) && (least == "" || rank(c) < rank(least)) {
			least = c
		}
	}
	return least
}

// Stronger returns the higher of two classes.
func Stronger(a, b string) string {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// ForbidsSMS says whether a login that must satisfy want may send nothing by SMS.
func ForbidsSMS(want string) bool { return rank(want) > rank(Phone) }

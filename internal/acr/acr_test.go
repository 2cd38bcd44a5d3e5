package acr

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSatisfies(t *testing.T) {
	for _, tt := range []struct {
		name       string
		have, want string
		satisfied  bool
	}{
		{"nothing wanted is satisfied by anything", Phone, "", true},
		{"nothing wanted is satisfied by nothing", "", "", true},
		{"a class satisfies itself", PhoneNoSMS, PhoneNoSMS, true},
		{"a stronger class satisfies a weaker one", PhoneNoSMS, Phone, true},
		{"a weaker class does not satisfy a stronger one", Phone, PhoneNoSMS, false},
		{"no phone channel is phishing resistant", PhoneNoSMS, PhishingResistant, false},
		{"an unknown class is never satisfied", PhishingResistant, "urn:example:loa3", false},
		{"no login satisfies nothing that is wanted", "", Password, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Satisfies(tt.have, tt.want); got != tt.satisfied {
				t.Errorf("Satisfies(%q, %q) = %v", tt.have, tt.want, got)
			}
		})
	}
}

func TestOA73_EssentialIsMetByAnyValue(t *testing.T) {
	if !SatisfiesAny(Phone, []string{"urn:example:loa3", Phone}) {
		t.Error("one satisfied value is not enough")
	}
	if SatisfiesAny(Phone, []string{PhoneNoSMS, PhishingResistant}) {
		t.Error("a weaker login satisfies stronger values")
	}
	if !SatisfiesAny("", nil) {
		t.Error("no values are not satisfied")
	}
}

func TestWeakest(t *testing.T) {
	for _, tt := range []struct {
		name    string
		classes []string
		want    string
	}{
		{"the lowest of several is enough", []string{PhoneNoSMS, Phone}, Phone},
		{"what cannot be reached does not count", []string{PhishingResistant, "urn:example:x", PhoneNoSMS}, PhoneNoSMS},
		{"nothing reachable yields nothing", []string{PhishingResistant}, ""},
		{"nothing asked yields nothing", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Weakest(tt.classes); got != tt.want {
				t.Errorf("Weakest(%v) = %q, want %q", tt.classes, got, tt.want)
			}
		})
	}
}

func TestOA74_AMRSaysSMSOnlyWhenOneWentOut(t *testing.T) {
	without, with := Passcode(false), Passcode(true)
	if slices.Contains(without.AMR, "sms") || without.Channel != ChannelWhatsApp || without.ACR != PhoneNoSMS {
		t.Errorf("WhatsApp alone is told as %+v", without)
	}
	if !slices.Contains(with.AMR, "sms") || with.Channel != ChannelSMS || with.ACR != Phone {
		t.Errorf("with an SMS is told as %+v", with)
	}
	for _, m := range []string{"pwd", "otp", "mca", "mfa"} {
		if !slices.Contains(without.AMR, m) || !slices.Contains(with.AMR, m) {
			t.Errorf("amr lacks %s", m)
		}
	}
	if ForbidsSMS(Phone) || !ForbidsSMS(PhoneNoSMS) || ForbidsSMS("") {
		t.Error("ForbidsSMS does not follow the order")
	}
}

// Satisfies is a total preorder over our classes, with unknown ones outside of it.
func TestSatisfiesIsAnOrder(t *testing.T) {
	class := rapid.SampledFrom(append([]string{"", "urn:example:x"}, order...))
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := class.Draw(t, "a"), class.Draw(t, "b"), class.Draw(t, "c")
		if Satisfies(a, b) && Satisfies(b, c) && !Satisfies(a, c) {
			t.Errorf("%q satisfies %q, that %q, but the first not the last", a, b, c)
		}
		if Known(a) && Known(b) && !Satisfies(a, b) && !Satisfies(b, a) {
			t.Errorf("%q and %q cannot be compared", a, b)
		}
	})
}

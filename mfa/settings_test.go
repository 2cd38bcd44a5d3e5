package mfa

import (
	"strings"
	"testing"
	"time"
)

func TestOTP26_TheOperatorMustChooseTheCountries(t *testing.T) {
	for name, tt := range map[string]struct {
		countries []string
		want      string // of the sentence; empty when all is well
	}{
		"a list":              {[]string{"IT", "BR"}, ""},
		"all":                 {[]string{"all"}, ""},
		"none":                {nil, "mfa.countries is empty: list the countries you serve, or write [all]"},
		"all and one":         {[]string{"IT", "all"}, `mfa.countries holds "all"`},
		"small letters":       {[]string{"it"}, `mfa.countries holds "it": write two capital letters`},
		"a name of a country": {[]string{"Italy"}, `mfa.countries holds "Italy"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := served(tt.countries...).Check()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSettingsCheck_SaysWhatToDo(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"mfa.currency is \"euro\": write three capital letters": func(s *Settings) { s.Currency = "euro" },
		"mfa.template_ttl is 15m1s: set it between 1s and 5m0s": func(s *Settings) { s.TemplateTTL = 901 * time.Second },
		"mfa.template_ttl is 0s":                                func(s *Settings) { s.TemplateTTL = 0 },
		"mfa.country_failures is 0":                             func(s *Settings) { s.CountryFailures = 0 },
		"mfa.country_rest is 25h0m0s":                           func(s *Settings) { s.CountryRest = 25 * time.Hour },
	} {
		s := served("IT")
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

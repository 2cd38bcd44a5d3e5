package fraud

import (
	"errors"
	"fmt"
	"time"
)

// What is done about a prefix of which too few messages are followed by a right passcode.
const (
	ModeObserve = "observe" // a verdict and its event, nothing is refused
	ModeEnforce = "enforce" // SMS to it are refused
)

// Settings are what an operator may set (configuration `fraud.*`).
type Settings struct {
	// Mode is enforce or observe.
	Mode string `yaml:"mode"`
	// Window is how far back messages count; it is rounded up to whole hours.
	Window time.Duration `yaml:"window"`
	// Learning is how long after the installation's first message nothing is refused yet.
	Learning time.Duration `yaml:"learning"`
	// MinSent is how many messages in the window it takes to say anything of a prefix.
	MinSent int `yaml:"min_sent"`
	// LeastConversion is the part of a prefix's SMS that must be followed by a right passcode; LeastConversionInstant the
	// same for SMS that went out at once because the number has no WhatsApp, which is what pumping aims at.
	LeastConversion        float64 `yaml:"least_conversion"`
	LeastConversionInstant float64 `yaml:"least_conversion_instant"`
	// Rest is how long a prefix is refused before a few messages are let through to try it again.
	Rest time.Duration `yaml:"rest"`
}

// Defaults are the settings of a new installation.
func Defaults() Settings {
	return Settings{
		Mode: ModeEnforce, Window: 6 * time.Hour, Learning: 72 * time.Hour, MinSent: 20,
		LeastConversion: 0.25, LeastConversionInstant: 0.35, Rest: 6 * time.Hour,
	}
}

// Check refuses settings that defend against nothing or accuse everybody, with a sentence that says what to do.
func (s Settings) Check() error {
	var errs []error
	within := func(name string, got, low, high time.Duration) {
		if got < low || got > high {
			errs = append(errs, fmt.Errorf("fraud.%s is %v: set it between %v and %v", name, got, low, high))
		}
	}
	share := func(name string, got float64) {
		if !(got > 0 && got <= maxLeast) { // NaN is neither
			errs = append(errs, fmt.Errorf("fraud.%s is %v: set it above 0 and at most %v", name, got, maxLeast))
		}
	}
	if s.Mode != ModeObserve && s.Mode != ModeEnforce {
		errs = append(errs, fmt.Errorf("fraud.mode is %q: set it to %s or %s", s.Mode, ModeObserve, ModeEnforce))
	}
	within("window", s.Window, time.Hour, 7*24*time.Hour)
	within("learning", s.Learning, 0, 90*24*time.Hour)
	within("rest", s.Rest, 10*time.Minute, 30*24*time.Hour)
	if s.MinSent < 5 || s.MinSent > 10_000 {
		errs = append(errs, fmt.Errorf("fraud.min_sent is %d: set it between 5 and 10000", s.MinSent))
	}
	share("least_conversion", s.LeastConversion)
	share("least_conversion_instant", s.LeastConversionInstant)
	return errors.Join(errs...)
}

// maxLeast leaves room above: a verdict is withdrawn when conversion is back at backFactor times what is required.
const maxLeast = 0.6

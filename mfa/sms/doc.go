// Package sms is the channel through SMS carriers. There is a type for each: Twilio, Vonage, Infobip, AWS, Kannel and a
// gateway that is described by configuration. Each sends a passcode as a text, knows what its carrier's refusals mean
// (its table of codes), hears its receipts, which it turns into reports for mfa, and can look whether it is set up
// rightly (Check). common.go, callback.go and check.go hold what they share. The package keeps nothing and decides
// nothing: which carrier is tried, and when, is mfa's. The words of the text come from templates, through Config.Text.
package sms

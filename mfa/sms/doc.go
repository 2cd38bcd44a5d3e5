// Package sms is the channel through an SMS carrier, Twilio's Messages API: it sends a passcode as a text (send.go),
// knows what Twilio's refusals mean (codes.go), and hears its status callbacks (callback.go), which it turns into
// reports for mfa. It keeps nothing and decides nothing. The words of the text come from templates, through Config.Text.
package sms

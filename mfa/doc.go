// Package mfa is the second factor: a passcode on a person's phone. It starts a challenge, sends its passcode on WhatsApp
// and, when WhatsApp does not get through, by SMS, hears what the carriers report, and verifies what the person types.
//
// The parts: challenge.go starts a challenge and sends again on request; verify.go counts, compares and consumes;
// passcode.go derives the passcode, which is stored nowhere; escalation.go decides what happens next and is a pure
// function; dispatch.go owns the due rows and carries out what was decided; route.go and failover.go choose the carrier,
// circuit.go keeps messages from one that does not work, budget.go from costing too much; receipt.go and batch.go apply what carriers
// report of messages, bulletin.go what they say of our account; identity.go binds a phone to its WhatsApp account; notice.go
// warns who did not ask for a code; progress.go tells the page where things stand.
//
// Channels are packages of their own below this one (mfa/whatsapp, mfa/sms): they send, with one verb, and turn their
// carrier's callbacks into Reports for [Service.Receive]. The pages belong to idp/login, which calls this package and
// hands it the policy of a client; this package reads neither clients nor HTTP requests.
//
// Nothing that matters lives in the process: every deadline is a row with a due time, so that a killed process loses
// nothing and a second node takes over.
package mfa

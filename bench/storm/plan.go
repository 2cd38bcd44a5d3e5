package main

import (
	"math/rand/v2"

	"github.com/parola-id/parola/examples/handset"
)

// act is what a person does once the passcode page is there.
type act string

const (
	enter      act = "enters the passcode"
	enterTwice act = "enters it in two tabs at once"
	wrongFirst act = "enters a wrong one first"
	askSMS     act = "asks for an SMS"
	askAgain   act = "asks for it again"
	deny       act = "says that they did not ask for it"
	never      act = "never enters it"
)

// plan is one challenge: what goes wrong on the way, and what the person does.
type plan struct {
	fault    string
	switches handset.Switches
	act      act
}

type weighted[T any] struct {
	weight int
	name   string
	value  T
}

// faults are what happens to one message. Receipts come twice and in another order on top of them.
var faults = []weighted[handset.Switches]{
	{44, "none", handset.Switches{}},
	{8, "phone off", handset.Switches{PhoneOff: true}},
	{5, "no WhatsApp, told later", handset.Switches{NoWhatsApp: "webhook"}},
	{3, "no WhatsApp, refused", handset.Switches{NoWhatsApp: "refused"}},
	{4, "WhatsApp refuses for a moment", handset.Switches{Meta: "131016"}},
	{3, "too many to this person", handset.Switches{Meta: "131056"}},
	{3, "WhatsApp answers with a page", handset.Switches{Meta: "500"}},
	{2, "WhatsApp's answer is late", handset.Switches{Meta: "timeout"}},
	{5, "WhatsApp's answer is lost", handset.Switches{Meta: "lost_answer"}},
	{5, "WhatsApp fails later", handset.Switches{WhatsAppFails: "131000"}},
	{2, "another WhatsApp account", handset.Switches{IdentityChanged: true}},
	{3, "WhatsApp late", handset.Switches{WhatsAppLateSeconds: 0.7}},
	{4, "phone off, SMS undelivered", handset.Switches{PhoneOff: true, SMSFails: "30003"}},
	{3, "phone off, SMS refused for a moment", handset.Switches{PhoneOff: true, Twilio: "20429"}},
	{3, "phone off, SMS answer lost", handset.Switches{PhoneOff: true, Twilio: "lost_answer"}},
	{2, "phone off, SMS answer late", handset.Switches{PhoneOff: true, Twilio: "timeout"}},
	{1, "phone off, SMS refused", handset.Switches{PhoneOff: true, Twilio: "21614"}},
}

var acts = []weighted[act]{
	{70, "", enter}, {9, "", enterTwice}, {7, "", wrongFirst}, {3, "", askSMS}, {2, "", askAgain}, {1, "", deny}, {8, "", never},
}

func choose[T any](r *rand.Rand, list []weighted[T]) weighted[T] {
	sum := 0
	for _, w := range list {
		sum += w.weight
	}
	n := r.IntN(sum)
	for _, w := range list {
		if n -= w.weight; n < 0 {
			return w
		}
	}
	panic("storm: weights")
}

// planOf is the n-th challenge of a seed, whatever happened to the others.
func planOf(seed uint64, n int) plan {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	fault := choose(r, faults)
	p := plan{fault: fault.name, switches: fault.value, act: choose(r, acts).value}
	p.switches.WebhooksTwice = r.IntN(3) == 0
	p.switches.WebhooksOutOfOrder = r.IntN(3) == 0
	return p
}

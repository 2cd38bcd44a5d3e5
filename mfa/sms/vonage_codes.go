package sms

import "github.com/parola-id/parola/mfa"

const (
	// vonageInternal is Vonage's own fault: nobody knows what became of the message.
	vonageInternal = "5"
	// vonageReceipt sets the codes of receipts apart from those of answers: both count from 1.
	vonageReceipt = "err-"
)

// VonageCodes is Vonage's error table: the status of an answer, and with err- before it the err-code of a receipt.
func VonageCodes() []mfa.Code {
	return table(
		line{"1", classR, ofCarrier, "throttled"},
		line{"2", classC, ofMessage, "parameter missing"},
		line{"3", classN, ofMessage, "parameter invalid: of those we send only the number varies"},
		line{"4", classC, ofCarrier, "credentials invalid"},
		line{vonageInternal, classR, ofCarrier, "internal error; in an answer the outcome is unknown"},
		line{"6", classS, ofMessage, "message invalid or not routable"},
		line{"7", classS, ofMessage, "number barred"},
		line{"8", classC, ofCarrier, "account barred"},
		line{"9", classC, ofCarrier, "balance exhausted"},
		line{"10", classR, ofCarrier, "too many connections"},
		line{"11", classC, ofCarrier, "account not enabled for this API"},
		line{"12", classC, ofMessage, "message too long"},
		line{"14", classC, ofCarrier, "signature invalid"},
		line{"15", classC, ofCarrier, "sender address invalid"},
		line{"22", classC, ofCarrier, "network code invalid"},
		line{"23", classC, ofCarrier, "callback URL invalid"},
		line{"29", classC, ofMessage, "trial account: number not in the list of test numbers"},
		line{"32", classC, ofCarrier, "signature and API secret together"},
		line{"33", classN, ofMessage, "number deactivated"},
		line{"err-1", classS, ofMessage, "unknown"},
		line{"err-2", classS, ofMessage, "absent subscriber, temporary: phone off or without coverage"},
		line{"err-3", classN, ofMessage, "absent subscriber, permanent"},
		line{"err-4", classS, ofMessage, "call barred by the person"},
		line{"err-5", classS, ofMessage, "portability error"},
		line{"err-6", classS, ofMessage, "rejected as spam"},
		line{"err-7", classS, ofMessage, "handset busy"},
		line{"err-8", classS, ofMessage, "network error"},
		line{"err-9", classN, ofMessage, "illegal number"},
		line{"err-10", classC, ofMessage, "illegal message"},
		line{"err-11", classS, ofMessage, "unroutable"},
		line{"err-12", classS, ofMessage, "destination unreachable"},
		line{"err-13", classS, ofMessage, "age restriction of the subscriber"},
		line{"err-14", classS, ofMessage, "blocked by the operator"},
		line{"err-15", classS, ofMessage, "prepaid subscriber without credit"},
		line{"err-99", classS, ofMessage, "general error"},
		line{"err-expired", classS, ofMessage, "not delivered within the passcode's life"},
	)
}

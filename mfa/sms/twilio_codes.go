package sms

import "github.com/parola-id/parola/mfa"

// TwilioCodes is Twilio's error table. 2xxxx come in the answer to a send, 3xxxx mostly in a receipt.
func TwilioCodes() []mfa.Code {
	return table(
		line{"14101", classN, ofMessage, "To attribute invalid"},
		line{"20003", classC, ofCarrier, "authentication failed"},
		line{"20404", classC, ofCarrier, "account or resource not found"},
		line{"20429", classR, ofCarrier, "too many requests"},
		line{"21211", classN, ofMessage, "invalid To number"},
		line{"21212", classC, ofCarrier, "invalid From number"},
		line{"21266", classC, ofMessage, "To and From are the same number"},
		line{"21401", classN, ofMessage, "invalid phone number"},
		line{"21408", classC, ofCountry, "destination country not enabled"},
		line{"21601", classC, ofCarrier, "From is not an SMS-capable number of the account"},
		line{"21602", classC, ofMessage, "Body missing"},
		line{"21603", classC, ofCarrier, "From missing"},
		line{"21604", classC, ofMessage, "To missing"},
		line{"21606", classC, ofCarrier, "From is not an SMS-capable number of the account"},
		line{"21608", classC, ofCarrier, "trial account, or no approved compliance profile"},
		line{"21609", classC, ofCarrier, "StatusCallback URL invalid"},
		line{"21610", classS, ofMessage, "recipient sent STOP to this sender"},
		line{"21611", classR, ofCarrier, "queue of the sender is full"},
		line{"21612", classN, ofMessage, "no route from this From to this To"},
		line{"21614", classN, ofMessage, "To is not a mobile number"},
		line{"21617", classC, ofMessage, "body longer than 1,600 characters"},
		line{"21624", classC, ofMessage, "validity period invalid"},
		line{"21701", classC, ofCarrier, "the messaging service does not exist"},
		line{"21730", classR, ofCarrier, "maintenance"},
		line{"30001", classR, ofCarrier, "queue overflow"},
		line{"30002", classC, ofCarrier, "account suspended"},
		line{"30003", classS, ofMessage, "handset unreachable"},
		line{"30004", classS, ofMessage, "message blocked by carrier or person"},
		line{"30005", classN, ofMessage, "unknown handset"},
		line{"30006", classN, ofMessage, "landline or unreachable carrier"},
		line{"30007", classS, ofMessage, "filtered by carrier or Twilio"},
		line{"30008", classS, ofMessage, "unknown error"},
		line{"30010", classC, ofMessage, "price above MaxPrice"},
		line{"30024", classC, ofCarrier, "numeric sender not provisioned at the carrier"},
		line{"30034", classC, ofCountry, "US number not registered for A2P 10DLC"},
		line{"30042", classC, ofCarrier, "sender id blocked"},
		line{"30450", classS, ofCountry, "number range blocked by SMS-pumping protection, minutes"},
		line{"30453", classS, ofCountry, "number range blocked by SMS-pumping protection, hours"},
	)
}

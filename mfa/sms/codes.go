package sms

import "github.com/parola-id/parola/mfa"

// classOf is Twilio's error table: each code, what it means for a passcode, and what Twilio says of it. 2xxxx come in the
// answer to a send, 3xxxx mostly in a callback.
var classOf = map[int]mfa.Class{
	14101: mfa.ClassNumber,   // To attribute invalid
	20003: mfa.ClassConfig,   // authentication failed
	20429: mfa.ClassRetry,    // too many requests
	21211: mfa.ClassNumber,   // invalid To number
	21212: mfa.ClassConfig,   // invalid From number
	21401: mfa.ClassNumber,   // invalid phone number
	21408: mfa.ClassConfig,   // destination country not enabled
	21601: mfa.ClassConfig,   // From is not an SMS-capable number of the account
	21602: mfa.ClassConfig,   // Body missing
	21603: mfa.ClassConfig,   // From missing
	21606: mfa.ClassConfig,   // From is not an SMS-capable number of the account
	21608: mfa.ClassConfig,   // trial account, or no approved compliance profile
	21609: mfa.ClassConfig,   // StatusCallback URL invalid
	21610: mfa.ClassFallback, // recipient sent STOP to this sender
	21611: mfa.ClassRetry,    // queue of the sender is full
	21612: mfa.ClassNumber,   // no route from this From to this To
	21614: mfa.ClassNumber,   // To is not a mobile number
	21617: mfa.ClassConfig,   // body longer than 1,600 characters
	21624: mfa.ClassConfig,   // validity period invalid
	21730: mfa.ClassRetry,    // maintenance
	30001: mfa.ClassRetry,    // queue overflow
	30002: mfa.ClassConfig,   // account suspended
	30003: mfa.ClassFallback, // handset unreachable
	30004: mfa.ClassFallback, // message blocked by carrier or person
	30005: mfa.ClassNumber,   // unknown handset
	30006: mfa.ClassNumber,   // landline or unreachable carrier
	30007: mfa.ClassFallback, // filtered by carrier or Twilio
	30008: mfa.ClassFallback, // unknown error
	30010: mfa.ClassConfig,   // price above MaxPrice
	30024: mfa.ClassConfig,   // numeric sender not provisioned at the carrier
	30034: mfa.ClassConfig,   // US number not registered for A2P 10DLC
	30042: mfa.ClassConfig,   // sender id blocked
	30450: mfa.ClassFallback, // number range blocked by SMS-pumping protection, minutes
	30453: mfa.ClassFallback, // number range blocked by SMS-pumping protection, hours
}

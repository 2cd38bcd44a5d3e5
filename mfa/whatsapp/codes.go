package whatsapp

import (
	"strconv"

	"github.com/parola-id/parola/mfa"
)

// classOf is Meta's error table: each code, what it means for a passcode, and what Meta says of it. The same codes come
// in the answer to a send and later in a status webhook. What Meta documents only for other kinds of messages, or for
// setting a number up, is S or C, should it ever be seen: the person gets an SMS either way.
var classOf = map[int]mfa.Class{
	0:      mfa.ClassConfig,   // access token invalid or expired
	1:      mfa.ClassRetry,    // unknown: bad request or server fault
	2:      mfa.ClassRetry,    // service down or overloaded
	3:      mfa.ClassConfig,   // capability or permission missing for this API method
	4:      mfa.ClassRetry,    // request limit of the app
	10:     mfa.ClassConfig,   // permission denied or not eligible
	17:     mfa.ClassRetry,    // request limit of the user
	33:     mfa.ClassConfig,   // phone number id deleted or invalid
	100:    mfa.ClassConfig,   // invalid parameter
	104:    mfa.ClassConfig,   // no access token
	190:    mfa.ClassConfig,   // access token expired or invalid
	200:    mfa.ClassConfig,   // permission missing; 201 to 299 likewise
	368:    mfa.ClassConfig,   // blocked for a policy violation
	803:    mfa.ClassConfig,   // object not found
	80007:  mfa.ClassRetry,    // rate limit of the WhatsApp Business Account
	130403: mfa.ClassFallback, // this business has blocked the person
	130429: mfa.ClassRetry,    // throughput limit of the business number
	130472: mfa.ClassFallback, // number is part of an experiment
	130497: mfa.ClassConfig,   // business may not message that country
	131000: mfa.ClassRetry,    // something went wrong
	131005: mfa.ClassConfig,   // access denied
	131008: mfa.ClassConfig,   // required parameter missing
	131009: mfa.ClassConfig,   // parameter value invalid
	131016: mfa.ClassRetry,    // service unavailable
	131021: mfa.ClassFallback, // recipient is the sender
	131026: mfa.ClassNumber,   // undeliverable: not on WhatsApp, terms not accepted, or client too old
	131030: mfa.ClassConfig,   // recipient not in the allowed list of a test number
	131031: mfa.ClassConfig,   // account locked
	131037: mfa.ClassConfig,   // display name of the number not approved
	131042: mfa.ClassConfig,   // payment problem
	131045: mfa.ClassConfig,   // number not registered
	131047: mfa.ClassFallback, // 24-hour window closed (does not apply to templates)
	131048: mfa.ClassConfig,   // spam rate limit on the business number
	131049: mfa.ClassFallback, // not delivered, to maintain a healthy ecosystem; do not repeat
	131050: mfa.ClassFallback, // person opted out of marketing
	131051: mfa.ClassConfig,   // unsupported message type
	131052: mfa.ClassFallback, // media download failed (does not apply)
	131053: mfa.ClassFallback, // media upload failed (does not apply)
	131055: mfa.ClassConfig,   // method not allowed
	131056: mfa.ClassRetry,    // too many messages to this person: one in 6 s
	131057: mfa.ClassRetry,    // account in maintenance, about a minute
	131059: mfa.ClassFallback, // bad paging cursor (does not apply)
	131062: mfa.ClassConfig,   // authentication templates need a phone number
	131063: mfa.ClassConfig,   // marketing templates are off: the template was re-categorised
	131064: mfa.ClassConfig,   // messaging limit because of template classification
	132000: mfa.ClassConfig,   // template parameter count mismatch
	132001: mfa.ClassConfig,   // template missing in that language, or not approved
	132005: mfa.ClassConfig,   // template text too long
	132007: mfa.ClassConfig,   // template content violates policy
	132008: mfa.ClassConfig,   // template parameter value invalid
	132012: mfa.ClassConfig,   // template parameter format mismatch
	132015: mfa.ClassConfig,   // template paused
	132016: mfa.ClassConfig,   // template disabled
	132018: mfa.ClassConfig,   // template parameter validation failed
	132068: mfa.ClassFallback, // flow blocked (does not apply)
	132069: mfa.ClassFallback, // flow throttled (does not apply)
	133000: mfa.ClassConfig,   // earlier deregistration incomplete
	133004: mfa.ClassRetry,    // server temporarily unavailable
	133005: mfa.ClassConfig,   // two-step PIN wrong
	133006: mfa.ClassConfig,   // number must be verified first
	133008: mfa.ClassConfig,   // too many PIN guesses
	133009: mfa.ClassConfig,   // PIN entered too fast
	133010: mfa.ClassConfig,   // number not registered
	133015: mfa.ClassConfig,   // number recently deleted
	133016: mfa.ClassConfig,   // too many registrations of the number
	134011: mfa.ClassConfig,   // payments terms not accepted
	135000: mfa.ClassConfig,   // generic error in parameters
	136024: mfa.ClassConfig,   // number already verified
	137000: mfa.ClassAlert,    // identity key of the recipient changed
	141002: mfa.ClassConfig,   // template not approved
}

// failure classifies a code. One that Meta has not documented may work in a moment when Meta says that it is transient;
// otherwise the person gets an SMS and an operator hears of it.
func failure(code int, transient bool) mfa.Failure {
	f := mfa.Failure{Class: mfa.ClassConfig, Code: strconv.Itoa(code)}
	class, known := classOf[code]
	switch {
	case known:
		f.Class = class
	case code >= 200 && code <= 299:
	case transient:
		f.Class = mfa.ClassRetry
	}
	return f
}

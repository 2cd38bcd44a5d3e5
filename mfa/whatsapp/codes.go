package whatsapp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parola-id/parola/mfa"
)

// codes is Meta's error table. The same codes come in the answer to a send and later in a status webhook, and mean the
// same in both. What Meta documents only for other kinds of messages, or for setting a number up, is S or C should it
// ever be seen: the person gets an SMS either way.
var codes = []mfa.Code{
	{Code: "0", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "access token invalid or expired"},
	{Code: "1", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "unknown: bad request or server fault"},
	{Code: "2", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "service down or overloaded"},
	{Code: "3", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "capability or permission missing for this API method"},
	{Code: "4", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "request limit of the app"},
	{Code: "10", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "permission denied, or not eligible"},
	{Code: "17", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "request limit of the user"},
	{Code: "33", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "phone number id deleted or invalid"},
	{Code: "100", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "invalid parameter"},
	{Code: "104", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "no access token"},
	{Code: "190", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "access token expired or invalid"},
	{Code: "200-299", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "permission missing"},
	{Code: "368", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "blocked for a policy violation"},
	{Code: "803", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "object not found"},
	{Code: "80007", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "rate limit of the WhatsApp Business Account"},
	{Code: "130403", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "this business has blocked the person"},
	{Code: "130429", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "throughput limit of the business number"},
	{Code: "130472", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "number is part of an experiment"},
	{Code: "130497", Class: mfa.ClassConfig, Scope: mfa.ScopeCountry, Meaning: "the business may not message that country"},
	{Code: "131000", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "something went wrong"},
	{Code: "131005", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "access denied"},
	{Code: "131008", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "required parameter missing"},
	{Code: "131009", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "parameter value invalid"},
	{Code: "131016", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "service unavailable"},
	{Code: "131021", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "recipient is the sender"},
	{Code: "131026", Class: mfa.ClassNumber, Scope: mfa.ScopeMessage, Meaning: "undeliverable: not on WhatsApp, terms not accepted, or client too old"},
	{Code: "131030", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "recipient not in the allowed list of a test number"},
	{Code: "131031", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "account locked"},
	{Code: "131037", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "display name of the number not approved"},
	{Code: "131042", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "payment problem"},
	{Code: "131045", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "number not registered"},
	{Code: "131047", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "24-hour window closed; does not apply to templates"},
	{Code: "131048", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "spam rate limit on the business number"},
	{Code: "131049", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "not delivered, to maintain a healthy ecosystem; do not repeat"},
	{Code: "131050", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "person opted out of marketing"},
	{Code: "131051", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "unsupported message type"},
	{Code: "131052", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "media download failed; does not apply"},
	{Code: "131053", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "media upload failed; does not apply"},
	{Code: "131055", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "method not allowed"},
	{Code: "131056", Class: mfa.ClassRetry, Scope: mfa.ScopeMessage, Meaning: "too many messages to this person; not before 6 s"},
	{Code: "131057", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "account in maintenance, about a minute"},
	{Code: "131059", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "bad paging cursor; does not apply"},
	{Code: "131062", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "authentication templates need a phone number"},
	{Code: "131063", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "marketing templates are off: the template was re-categorised"},
	{Code: "131064", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "messaging limit because of template classification"},
	{Code: "132000", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template parameter count mismatch"},
	{Code: "132001", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template missing in that language, or not approved; the default language is tried once"},
	{Code: "132005", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template text too long"},
	{Code: "132007", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template content violates policy"},
	{Code: "132008", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template parameter value invalid"},
	{Code: "132012", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template parameter format mismatch"},
	{Code: "132015", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "template paused"},
	{Code: "132016", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "template disabled"},
	{Code: "132018", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template parameter validation failed"},
	{Code: "132068", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "flow blocked; does not apply"},
	{Code: "132069", Class: mfa.ClassFallback, Scope: mfa.ScopeMessage, Meaning: "flow throttled; does not apply"},
	{Code: "133000", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "earlier deregistration incomplete"},
	{Code: "133004", Class: mfa.ClassRetry, Scope: mfa.ScopeCarrier, Meaning: "server temporarily unavailable"},
	{Code: "133005", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "two-step PIN wrong; setting up only"},
	{Code: "133006", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "number must be verified first"},
	{Code: "133008", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "too many PIN guesses; setting up only"},
	{Code: "133009", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "PIN entered too fast; setting up only"},
	{Code: "133010", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "number not registered"},
	{Code: "133015", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "number recently deleted"},
	{Code: "133016", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "too many registrations of the number"},
	{Code: "134011", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "payments terms not accepted"},
	{Code: "135000", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "generic error in parameters"},
	{Code: "136024", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "number already verified; setting up only"},
	{Code: "137000", Class: mfa.ClassAlert, Scope: mfa.ScopeMessage, Meaning: "identity key of the recipient changed"},
	{Code: "141002", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "template not approved; health status only"},
	{Code: "2388000-2388999", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "template or number management only"},
	{Code: "2494100", Class: mfa.ClassConfig, Scope: mfa.ScopeCarrier, Meaning: "account in maintenance; management only"},
	{Code: "2593000-2593999", Class: mfa.ClassConfig, Scope: mfa.ScopeMessage, Meaning: "synchronisation; management only"},
}

// Codes returns the error table, in the order of the codes.
func Codes() []mfa.Code { return slices.Clone(codes) }

// lookUp finds the line of a code.
func lookUp(code int) (mfa.Code, bool) {
	for _, c := range codes {
		low, high, isRange := strings.Cut(c.Code, "-")
		if !isRange {
			high = low
		}
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		if from <= code && code <= to {
			return c, true
		}
	}
	return mfa.Code{}, false
}

// failure classifies a code. One that is not in the table may work in a moment when Meta's server was at fault or Meta
// says that it is transient; otherwise the person gets an SMS and an operator hears of it.
func failure(code int, serverFault, transient bool) mfa.Failure {
	f := mfa.Failure{Code: strconv.Itoa(code), Class: mfa.ClassConfig, Scope: mfa.ScopeMessage}
	switch line, known := lookUp(code); {
	case known:
		f.Class, f.Scope = line.Class, line.Scope
	case serverFault:
		f.Class, f.Scope = mfa.ClassRetry, mfa.ScopeCarrier
	case transient:
		f.Class = mfa.ClassRetry
	}
	return f
}

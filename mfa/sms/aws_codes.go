package sms

import "github.com/parola-id/parola/mfa"

// awsNumberField is the field that a ValidationException names when the number is at fault.
const awsNumberField = "DestinationPhoneNumber"

// AWSCodes is AWS's error table: exceptions of the send call, their reasons where these tell more, and the types of events
// that end a message.
func AWSCodes() []mfa.Code {
	return table(
		line{"AccessDeniedException", classC, ofCarrier, "these credentials may not send"},
		line{"INSUFFICIENT_ACCOUNT_REPUTATION", classC, ofCarrier, "reputation of the account too low"},
		line{"ACCOUNT_DISABLED", classC, ofCarrier, "account disabled"},
		line{"UnrecognizedClientException", classC, ofCarrier, "access key unknown"},
		line{"InvalidSignatureException", classC, ofCarrier, "secret access key wrong, or our clock"},
		line{"IncompleteSignatureException", classC, ofCarrier, "signature incomplete"},
		line{"MissingAuthenticationTokenException", classC, ofCarrier, "no signature"},
		line{"ExpiredTokenException", classC, ofCarrier, "session token expired"},
		line{"ConflictException", classC, ofMessage, "a resource is in a state that does not allow it"},
		line{"DESTINATION_PHONE_NUMBER_OPTED_OUT", classS, ofMessage, "the person opted out"},
		line{"DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", classC, ofCountry, "country blocked by our protect configuration"},
		line{"DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE", classS, ofMessage, "number blocked by our protect configuration"},
		line{"DESTINATION_PHONE_NUMBER_NOT_VERIFIED", classC, ofMessage, "account in the sandbox: number not verified"},
		line{"NO_ORIGINATION_IDENTITIES_FOUND", classC, ofCountry, "no origination identity for that country"},
		line{"MESSAGE_TYPE_MISMATCH", classC, ofCarrier, "origination identity is for promotional messages"},
		line{"NUMBER_CAPABILITIES_MISMATCH", classC, ofCarrier, "origination identity cannot send SMS"},
		line{"RESOURCE_NOT_ACTIVE", classC, ofCarrier, "origination identity not active"},
		line{"InternalServerException", classR, ofCarrier, "fault of AWS; the outcome is unknown"},
		line{"ResourceNotFoundException", classC, ofCarrier, "origination identity or configuration set unknown"},
		line{"ServiceQuotaExceededException", classC, ofCarrier, "a quota is used up"},
		line{"MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", classC, ofCarrier, "monthly spend limit reached"},
		line{"ThrottlingException", classR, ofCarrier, "throttled"},
		line{"ValidationException", classC, ofMessage, "request invalid"},
		line{awsNumberField, classN, ofMessage, "ValidationException that names this field: number invalid"},
		line{"COUNTRY_NOT_ENABLED", classC, ofCountry, "country not enabled"},
		line{"COUNTRY_CODE_MISMATCH", classC, ofCountry, "origination identity is of another country"},
		line{"DESTINATION_COUNTRY_BLOCKED", classC, ofCountry, "country blocked"},
		line{"INTERNATIONAL_SENDING_NOT_SUPPORTED", classC, ofCountry, "origination identity sends in its own country only"},
		line{"INVALID_IDENTITY_FOR_DESTINATION_COUNTRY", classC, ofCountry, "origination identity not allowed in that country"},
		line{"PRICE_OVER_THRESHOLD", classC, ofCountry, "price above the threshold"},
		line{"SENDER_ID_NOT_REGISTERED", classC, ofCountry, "sender id not registered in that country"},
		line{"SENDER_ID_NOT_SUPPORTED", classC, ofCountry, "no sender ids in that country"},
		line{"SENDER_ID_REQUIRES_REGISTRATION", classC, ofCountry, "sender id must be registered in that country"},
		line{"TEXT_INVALID", classN, ofMessage, "number invalid"},
		line{"TEXT_INVALID_MESSAGE", classC, ofMessage, "text invalid"},
		line{"TEXT_UNREACHABLE", classS, ofMessage, "phone off or without coverage"},
		line{"TEXT_CARRIER_UNREACHABLE", classS, ofMessage, "the person's operator cannot be reached"},
		line{"TEXT_BLOCKED", classS, ofMessage, "blocked by the phone"},
		line{"TEXT_CARRIER_BLOCKED", classS, ofMessage, "blocked by the person's operator"},
		line{"TEXT_SPAM", classS, ofMessage, "taken for spam by the person's operator"},
		line{"TEXT_PROTECT_BLOCKED", classS, ofCountry, "blocked by our protect configuration"},
		line{"TEXT_TTL_EXPIRED", classS, ofMessage, "not delivered within the passcode's life"},
	)
}

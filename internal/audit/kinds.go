package audit

import "strings"

// The severities.
const (
	Info    = "info"
	Warning = "warning"
	High    = "high"
)

// The kinds of events of Appendix B that this release can write. An event of any other kind is refused.
const (
	PasswordSuccess   = "authn.password.success"
	PasswordFail      = "authn.password.fail"
	PasswordThrottled = "authn.password.throttled"
	PasswordDisabled  = "authn.password.disabled"

	PasscodeQueued      = "authn.otp.queued"       // a delivery was announced
	PasscodeSent        = "authn.otp.sent"         // the carrier accepted it
	PasscodeReceipt     = "authn.otp.receipt"      // what the carrier said later
	PasscodeFallback    = "authn.otp.fallback"     // the escalation chose SMS
	PasscodeSendFailed  = "authn.otp.send_failed"  // refused, failed or lost
	PasscodeSendRefused = "authn.otp.send_refused" // by our own limits
	PasscodeSuccess     = "authn.otp.success"
	PasscodeFail        = "authn.otp.fail"
	PasscodeExpired     = "authn.otp.expired"
	PasscodeReplayed    = "authn.otp.replayed"
	PasscodeExhausted   = "authn.otp.exhausted"
	IdentityChanged     = "authn.otp.identity_changed"
	NotRequested        = "authn.otp.not_requested" // "I didn't request a code"
	PersonWarned        = "authn.otp.person_warned" // of a login they did not ask for
	IdentityBound       = "authn.factor.identity_bound"

	FactorDisabled       = "authn.factor.disabled"
	FactorRebound        = "authn.factor.rebound"
	SuccessAfterFailures = "authn.success_after_failures"
	Partial              = "authn.partial"

	SessionCreated      = "session.created"
	SessionStepUp       = "session.stepup"
	SessionExpired      = "session.expired"
	SessionEnded        = "session.ended"
	SessionUsedAfterEnd = "session.used_after_end"

	AuthorizeStarted = "oauth.authorize.started" // the AuthRequest was saved: the first link of a login's chain
	AuthorizeError   = "oauth.authorize.error"
	CodeIssued       = "oauth.code.issued"
	CodeRepeated     = "oauth.code.repeated" // the same AuthCode went out again
	CodeRedeemed     = "oauth.code.redeemed"
	CodeReplayed     = "oauth.code.replayed"
	CodePKCEMismatch = "oauth.code.pkce_mismatch"
	TokenIssued      = "oauth.token.issued"
	TokenRefreshed   = "oauth.token.refreshed"
	TokenReuse       = "oauth.token.reuse_detected"
	TokenRevoked     = "oauth.token.revoked"
	ClientAuthFail   = "oauth.client.auth_fail"
	AssertionReplay  = "oauth.client.assertion_replay"

	ConsentGranted   = "consent.granted"
	ConsentDenied    = "consent.denied"
	ConsentWithdrawn = "consent.withdrawn"

	AccountCreated    = "account.created"
	AccountUpdated    = "account.updated"
	AccountDisabled   = "account.disabled"
	AccountEnabled    = "account.enabled"
	AccountUnlocked   = "account.unlocked"
	PasswordChanged   = "account.password.changed"
	PasswordRehash    = "account.password.rehashed"
	PhoneBound        = "account.phone.bound"
	PhoneChanged      = "account.phone.changed"
	IdentityForgotten = "account.identity.forgotten" // the WhatsApp account of a phone may be bound anew

	AdminClientCreated = "admin.client.created"
	AdminClientUpdated = "admin.client.updated"
	AdminClientRemoved = "admin.client.removed"
	AdminSecretRotated = "admin.client.secret_rotated"
	AdminSessionEnded  = "admin.session.ended"
	AdminPasswordSet   = "admin.password.set"
	AdminReveal        = "admin.reveal" // a whole phone number was shown
	AdminAuditRead     = "audit.read"
	AdminDumped        = "admin.database.dumped"
	AdminLoaded        = "admin.database.loaded"
	AuditPruned        = "audit.pruned"     // the beginning of the log was, or is about to be, removed
	AccountErased      = "account.erased"   // a person was erased; the id stays as a pseudonym
	AccountExported    = "account.exported" // everything about a person was handed out
	KeyCreated         = "key.created"
	KeyActivated       = "key.activated"
	KeyRetired         = "key.retired"
	KeyRevoked         = "key.revoked"        // withdrawn by an operator
	RootActivated      = "key.root.activated" // a node made things with a new root secret for the first time
	RootResealed       = "key.root.resealed"  // what the one before had sealed was sealed anew
	RootRetired        = "key.root.retired"   // nothing needs it any more, or what does was given up
	ChainBroken        = "audit.chain.broken"
	AuditCheckpoint    = "audit.checkpoint"
	WebhookRejected    = "webhook.rejected"
	RateLimitHit       = "ratelimit.hit"
	SSRFBlocked        = "ssrf.blocked"
	CSRFBlocked        = "csrf.blocked"
	InputRejected      = "input.rejected"
	SystemStart        = "system.start"
	SystemStop         = "system.stop"
	SystemEpoch        = "system.epoch" // an older copy was restored: what it held of logins has ended
	SystemPanic        = "system.panic"
	SystemClockDrift   = "system.clock_drift"
	SystemCarrierAlarm = "system.carrier_alarm" // class C: the carrier refuses because of our account or configuration
	CarrierBulletin    = "carrier.bulletin"     // what a carrier says of our account, number or template
	CarrierWarning     = "carrier.warning"
	CarrierAlarm       = "carrier.alarm"
	CircuitOpened      = "carrier.circuit.opened"
	CircuitClosed      = "carrier.circuit.closed"
	AdminCarrier       = "admin.carrier"  // a command changed something at a carrier: a template, a number, its PIN
	AdminCircuit       = "admin.circuit"  // an operator held or closed a circuit
	FraudVerdict       = "fraud.verdict"  // the defence against SMS pumping changed its mind about a prefix
	FraudOverride      = "fraud.override" // an operator overruled it
	RatesReplaced      = "admin.rates.replaced"
)

var severities = map[string]string{
	PasswordSuccess: Info, PasswordFail: Warning, PasswordThrottled: Warning, PasswordDisabled: High,
	PasscodeQueued: Info, PasscodeSent: Info, PasscodeReceipt: Info, PasscodeFallback: Info,
	PasscodeSendFailed: Warning, PasscodeSendRefused: Warning, PasscodeSuccess: Info, PasscodeFail: Warning,
	PasscodeExpired: Warning, PasscodeReplayed: High, PasscodeExhausted: High, IdentityChanged: High, NotRequested: High,
	FactorDisabled: High, FactorRebound: High, SuccessAfterFailures: Warning, Partial: Warning,
	SessionCreated: Info, SessionStepUp: Info, SessionExpired: Info, SessionEnded: Info, SessionUsedAfterEnd: Warning,
	AuthorizeStarted: Info, AuthorizeError: Warning, CodeIssued: Info, CodeRepeated: Info, CodeRedeemed: Info, CodeReplayed: High,
	CodePKCEMismatch: High, TokenIssued: Info, TokenRefreshed: Info, TokenReuse: High, TokenRevoked: Info,
	ClientAuthFail: Warning, AssertionReplay: High,
	ConsentGranted: Info, ConsentDenied: Info, ConsentWithdrawn: Info,
	AccountCreated: Info, AccountUpdated: Info, AccountDisabled: Info, AccountEnabled: Info, AccountUnlocked: Info,
	PasswordChanged: Warning, PasswordRehash: Info, PhoneBound: High, PhoneChanged: High,
	AdminClientCreated: Info, AdminClientUpdated: Info, AdminClientRemoved: Info, AdminSecretRotated: Info,
	AdminSessionEnded: Info, AdminPasswordSet: High, AdminReveal: High, AdminAuditRead: Info,
	KeyCreated: High, KeyActivated: High, KeyRetired: High, KeyRevoked: High, RootActivated: High, RootResealed: Info, RootRetired: High, ChainBroken: High, AuditCheckpoint: Info,
	WebhookRejected: Warning, RateLimitHit: Warning, SSRFBlocked: Warning, CSRFBlocked: Warning, InputRejected: Warning,
	AdminDumped: High, AdminLoaded: High, AuditPruned: High, AccountErased: High, AccountExported: High,
	SystemStart: Info, SystemStop: Info, SystemEpoch: High, SystemPanic: High, SystemClockDrift: Warning, SystemCarrierAlarm: High,
	PersonWarned: Info, IdentityBound: Info, IdentityForgotten: High,
	CarrierBulletin: Info, CarrierWarning: Warning, CarrierAlarm: High, CircuitOpened: High, CircuitClosed: Info,
	AdminCarrier: High, AdminCircuit: High, FraudVerdict: High, FraudOverride: High, RatesReplaced: Info,
}

// Known says whether kind is one that this release can write.
func Known(kind string) bool { _, known := severities[kind]; return known }

// KnownPrefix says whether kinds begin with prefix, which ends in a dot.
func KnownPrefix(prefix string) bool {
	for kind := range severities {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// Package parola is the map of the house. Parola is an OpenID Connect provider whose second factor is a one-time
// passcode on WhatsApp, and by SMS when WhatsApp does not get through.
//
// A request walks downstairs, and imports point the same way; imports_test.go keeps the table.
//
//	cmd/parola         the program: serve, doctor, and what operators do; the only reader of flags and files
//	internal/app       the wiring: a Config in, a running provider out
//	idp                the provider as one http.Handler; routes.go lists every URL
//	  idp/oidc         what OpenID Connect says; the only room that knows fosite
//	  idp/login        the journey of a person; next.go decides the one next step
//	  idp/session      the signed-in browser
//	  idp/password     hashing and checking
//	  idp/signing      the keys that sign
//	mfa                challenge, passcode, escalation, dispatch, carriers in order, circuits
//	  mfa/whatsapp     a channel by Meta's Cloud API, and Meta's account for the command line
//	  mfa/sms          a channel by Twilio, Vonage, Infobip, AWS, Kannel or any gateway
//	storage            the nouns that survive a restart, and the interfaces that keep them
//	  storage/sqlite   storage/postgres: two drivers under one SQL text
//	templates          pages, messages, languages
//	internal/audit     the log: kinds, writer, chain
//	internal/tracing   one trace for a login, over requests, nodes and carriers
//	internal/throttle  how often something may happen
//	internal/rates     what a message costs, by dated cards
//	internal/ledger    what messages cost and came to, counted from the log
//	internal/fraud     the defence against SMS pumping
//	internal/gsm7      what fits into one text message
//	internal/secret    one root secret, a key per purpose
//	internal/acr       how strong a login was, and how tokens say it
//	internal/outbound  the one client for addresses that others choose
//	examples           handset, relying parties: they speak to Parola over HTTP alone; demo starts it too, by internal/app
//	e2e                the built program, a real browser, the handset
//	bench              what it costs and how quickly a passcode gets out; storms and kills that must lose none, and one checker
//
// Nouns live in storage; verbs live in the room that does them. To follow a login, begin at idp/oidc/authorize.go, go on
// to idp/login/next.go, mfa/challenge.go, mfa/escalation.go, and come back by idp/oidc/resume.go and token.go.
package parola

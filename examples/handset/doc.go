// Package handset is a phone on the screen, with the carriers in front of it.
//
// To a provider it looks like Meta's WhatsApp Cloud API and like the APIs of SMS carriers: it takes the same requests,
// refuses what they refuse with their error bodies, and reports what became of a message by webhooks that are signed as
// theirs are. To a person it is a page with a phone on it; to a test it is a JSON API with an inbox and with switches for everything that goes wrong
// between a sender and a pocket. The provider is pointed at it by base URLs and cannot tell.
//
// Carrier side:
//
//	POST /{version}/{phone-number-id}/messages               Graph API, authentication templates and texts
//	     /{version}/{id} and below, /{version}/debug_token    Graph API, templates, number, subscription, health
//	POST /2010-04-01/Accounts/{sid}/Messages.json            Twilio, send an SMS
//	GET  /2010-04-01/Accounts/{sid}/Messages/{message}.json  Twilio, what became of it
//	GET  /2010-04-01/Accounts/{sid}.json                     Twilio, the account; also its Balance and IncomingPhoneNumbers
//	POST /sms/json                                           Vonage, send an SMS
//	GET  /account/get-balance, /account/numbers              Vonage, the account
//	POST /sms/3/messages                                     Infobip, send an SMS
//	GET  /account/1/balance                                  Infobip, the account
//	POST /                                                   AWS End User Messaging, every action
//	GET  /sns, /sns/{certificate}                            AWS SNS, which pushes its events
//	GET  /cgi-bin/sendsms                                    Kannel, send an SMS
//	POST /gateway/messages                                   a small JSON gateway, send an SMS
//	GET  /gateway/balance                                    its balance
//
// Person's side:
//
//	GET    /?phone=+39…       the page
//	GET    /inbox?phone=+39…  messages that reached the phone, newest first
//	DELETE /inbox?phone=+39…  forget them
//	GET    /sent?phone=+39…   every accepted message with its states and what the provider answered to each report
//	POST   /read              {"phone","id"}: the person reads one message, or all of them without an id
//	POST   /button            {"phone","id"}: the person taps "I didn't request a code"
//	GET    /switches          all switches; with ?phone= those that hold for one number
//	PUT    /switches          {"phone":"+39…","phone_off":true}: set the switches of a number, or of all with phone ""
//	PATCH  /switches          the same, leaving alone what is not named
//	DELETE /switches          reset, all or with ?phone= one number
//	GET    /meta              how the business stands with Meta; PATCH changes it, DELETE resets it
//	PATCH  /meta/templates    change templates: pause them, give them another category or time to live
//	POST   /identity          {"phone"}: another WhatsApp account behind a number
//	POST   /emit              {"payload"}: one of Meta's webhooks about the account, by the names of GET /emit
//	GET    /events?phone=     the page's live state (server-sent events)
//	GET    /api               this list, with every switch explained
//
// It keeps everything in memory, bounded, and hands over to nobody: [New] makes a [Handset], which is an [net/http.Handler],
// and [Handset.Close] stops every timer and report on its way. It imports only the standard library, so that no code is
// shared between the two ends of the wire.
package handset

// Package whatsapp is the channel through Meta's WhatsApp Cloud API. It sends a passcode as an authentication template
// (send.go) and a warning as a text (warn.go), knows what Meta's refusals mean (codes.go), and hears Meta's webhooks
// (webhook.go), which it turns into reports and bulletins for mfa (notification.go, bulletin.go). It keeps nothing and
// decides nothing: what follows a refusal is mfa's to say.
//
// Beside the channel stands a Manager (manage.go and its neighbours) for the command line: templates, the business
// number, the webhook subscription, and what doctor looks at (check.go). No login needs it.
package whatsapp

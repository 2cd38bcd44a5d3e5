// Package whatsapp is the channel through Meta's WhatsApp Cloud API: it sends a passcode as an authentication template
// (send.go), knows what Meta's refusals mean (codes.go), and hears Meta's webhooks (webhook.go), which it turns into
// reports for mfa. It keeps nothing and decides nothing: what follows a refusal is mfa's to say.
package whatsapp

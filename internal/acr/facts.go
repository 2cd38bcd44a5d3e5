package acr

// The values of mfa_channel.
const (
	ChannelWhatsApp = "whatsapp"
	ChannelSMS      = "sms"
)

// Facts are how a login is described to clients.
type Facts struct {
	ACR     string
	AMR     []string
	Channel string
}

// Passcode describes a login by password and a passcode that went to the person's phone. smsUsed says that it had gone
// out by SMS too, whatever became of that message: it may have been read there, so the weaker channel is what is told
// (OA-74, RFC 8176 §2).
func Passcode(smsUsed bool) Facts {
	f := Facts{ACR: PhoneNoSMS, AMR: []string{"pwd", "otp", "mca", "mfa"}, Channel: ChannelWhatsApp}
	if smsUsed {
		f.ACR, f.Channel = Phone, ChannelSMS
		f.AMR = append(f.AMR, "sms")
	}
	return f
}

package webapp

// level is an acr value in words for people.
type level struct {
	ACR  string
	Name string
	Text string
}

func levelOf(acr string) level {
	switch acr {
	case acrPassword:
		return level{acr, "password", "A password alone."}
	case acrPhone:
		return level{acr, "phone", "A password and a code on your phone, whichever way the code came."}
	case acrPhoneNoSMS:
		return level{acr, "phone without SMS", "A password and a code that no text message has carried."}
	case acrPhishingResistant:
		return level{acr, "phishing-resistant", "A passkey, which cannot be read out to anybody."}
	case "":
		return level{acr, "none stated", "The provider did not say how strong this login was."}
	}
	return level{acr, "unknown", "A value that this application does not know, and so does not rely on."}
}

// method is one amr value (RFC 8176) in words for people.
type method struct {
	AMR  string
	Text string
}

func methodsOf(amr []string) []method {
	words := map[string]string{
		"pwd": "password",
		"otp": "one-time code",
		"mca": "over a second channel",
		"mfa": "two factors",
		"sms": "by text message",
		"hwk": "hardware key",
		"swk": "software key",
		"pop": "proof of a key",
	}
	methods := make([]method, len(amr))
	for i, value := range amr {
		methods[i] = method{AMR: value, Text: words[value]}
	}
	return methods
}

// channelText says how the accepted code reached the person, from mfa_channel.
func channelText(channel string) string {
	switch channel {
	case "whatsapp":
		return "WhatsApp"
	case "sms":
		return "SMS (WhatsApp may have been tried first)"
	case "totp":
		return "an authenticator app"
	case "passkey":
		return "a passkey"
	case "recovery":
		return "a recovery code"
	case "":
		return "not stated"
	}
	return channel
}

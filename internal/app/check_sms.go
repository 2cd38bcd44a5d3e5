package app

import (
	"slices"
	"strings"
)

// smsCarriers are the names that sms.carriers may have.
var smsCarriers = []string{"aws", "gateway", "infobip", "kannel", "twilio", "vonage"}

// checkSMS says what is missing of the accounts that sms.carriers and sms.routes name.
func (c Config) checkSMS(bad func(string, ...any)) {
	accounts := map[string]func(bad func(string, ...any)){
		"twilio": c.checkTwilio, "vonage": c.checkVonage, "infobip": c.checkInfobip, "aws": c.checkAWS, "kannel": c.checkKannel,
		"gateway": c.checkGateway,
	}
	used := map[string]bool{}
	for _, name := range c.SMS.Carriers {
		if _, ok := accounts[name]; !ok {
			bad("sms.carriers names %q: the carriers are %s", name, strings.Join(smsCarriers, ", "))
		}
		if used[name] {
			bad("sms.carriers names %s twice", name)
		}
		used[name] = true
	}
	for country, names := range c.SMS.Routes {
		if len(country) != 2 || country != strings.ToUpper(country) {
			bad("sms.routes names %q: write a country as ISO 3166-1 does, like IT", country)
		}
		for _, name := range names {
			if !used[name] {
				bad("sms.routes.%s names %q, which is not in sms.carriers", country, name)
			}
		}
	}
	for name, check := range accounts {
		if used[name] {
			check(bad)
		}
	}
}

func (c Config) checkTwilio(bad func(string, ...any)) {
	t := c.SMS.Twilio
	if t.AccountSID == "" || !t.AuthToken.Set() {
		bad("sms.twilio.account_sid and sms.twilio.auth_token are needed: they are on the console's first page")
	}
	if (t.From == "") == (t.MessagingServiceSID == "") {
		bad("sms.twilio needs one of from and messaging_service_sid")
	}
	if (t.APIKeySID == "") != !t.APIKeySecret.Set() {
		bad("sms.twilio.api_key_sid and api_key_secret go together: set both or none")
	}
	c.checkBase("sms.twilio.base_url", t.BaseURL, bad)
}

func (c Config) checkVonage(bad func(string, ...any)) {
	v := c.SMS.Vonage
	if v.APIKey == "" || !v.APISecret.Set() || v.From == "" {
		bad("sms.vonage.api_key, api_secret and from are needed: they are on the dashboard's first page")
	}
	if !v.SignatureSecret.Set() {
		bad("sms.vonage.signature_secret is empty: without it no receipt can be trusted; ask Vonage to sign them")
	}
	if !slices.Contains([]string{"md5hash", "md5", "sha1", "sha256", "sha512"}, v.SignatureMethod) {
		bad("sms.vonage.signature_method is %q: set md5hash, md5, sha1, sha256 or sha512, as the dashboard says", v.SignatureMethod)
	}
	c.checkBase("sms.vonage.base_url", v.BaseURL, bad)
}

func (c Config) checkInfobip(bad func(string, ...any)) {
	i := c.SMS.Infobip
	if !i.APIKey.Set() || i.From == "" {
		bad("sms.infobip.api_key and from are needed: they are on the portal's page of API keys")
	}
	c.checkBase("sms.infobip.base_url", i.BaseURL, bad)
}

func (c Config) checkAWS(bad func(string, ...any)) {
	a := c.SMS.AWS
	if a.Region == "" || a.AccessKeyID == "" || !a.SecretAccessKey.Set() || a.OriginationIdentity == "" {
		bad("sms.aws.region, access_key_id, secret_access_key and origination_identity are needed")
	}
	if (a.ConfigurationSet == "") != (a.TopicARN == "") {
		bad("sms.aws.configuration_set and topic_arn go together: without them no receipt comes")
	}
	if a.BaseURL != "" {
		c.checkBase("sms.aws.base_url", a.BaseURL, bad)
	}
}

func (c Config) checkKannel(bad func(string, ...any)) {
	k := c.SMS.Kannel
	if k.Username == "" || !k.Password.Set() {
		bad("sms.kannel.username and password are needed: those of a sendsms-user")
	}
	c.checkBase("sms.kannel.url", k.URL, bad)
}

func (c Config) checkGateway(bad func(string, ...any)) {
	c.checkBase("sms.gateway.url", c.SMS.Gateway.URL, bad)
}

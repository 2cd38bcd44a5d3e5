package app

import "github.com/parola-id/parola/mfa/sms"

// SMS names the SMS carriers and the accounts with them.
type SMS struct {
	// Carriers are tried in this order: twilio, vonage, infobip, aws, kannel, gateway. Empty is no SMS at all.
	Carriers []string `yaml:"carriers"`
	// Routes name other carriers, or another order, for a country (ISO 3166-1).
	Routes  map[string][]string `yaml:"routes"`
	Twilio  Twilio              `yaml:"twilio"`
	Vonage  Vonage              `yaml:"vonage"`
	Infobip Infobip             `yaml:"infobip"`
	AWS     AWS                 `yaml:"aws"`
	Kannel  Kannel              `yaml:"kannel"`
	Gateway Gateway             `yaml:"gateway"`
}

// Twilio is an account with Twilio's Messages API.
type Twilio struct {
	BaseURL    string `yaml:"base_url"`
	AccountSID string `yaml:"account_sid"`
	// AuthToken signs callbacks, and authenticates sends unless an API key is given.
	AuthToken         Secret `yaml:"auth_token"`
	AuthTokenPrevious Secret `yaml:"auth_token_previous"`
	APIKeySID         string `yaml:"api_key_sid"`
	APIKeySecret      Secret `yaml:"api_key_secret"`
	// From is a number or sender id; MessagingServiceSID the alternative.
	From                string `yaml:"from"`
	MessagingServiceSID string `yaml:"messaging_service_sid"`
}

// Vonage is an account with Vonage's SMS API.
type Vonage struct {
	BaseURL   string `yaml:"base_url"`
	APIKey    string `yaml:"api_key"`
	APISecret Secret `yaml:"api_secret"`
	// SignatureSecret signs receipts, in the way that SignatureMethod names: md5hash, md5, sha1, sha256, sha512.
	SignatureSecret         Secret `yaml:"signature_secret"`
	SignatureSecretPrevious Secret `yaml:"signature_secret_previous"`
	SignatureMethod         string `yaml:"signature_method"`
	From                    string `yaml:"from"`
}

// Infobip is an account with Infobip. It signs nothing: each receipt carries a proof that its message was given.
type Infobip struct {
	// BaseURL is the account's own, like https://xyz.api.infobip.com.
	BaseURL string `yaml:"base_url"`
	APIKey  Secret `yaml:"api_key"`
	From    string `yaml:"from"`
}

// AWS is AWS End User Messaging.
type AWS struct {
	Region string `yaml:"region"`
	// BaseURL is the region's own when empty.
	BaseURL         string `yaml:"base_url"`
	AccessKeyID     string `yaml:"access_key_id"`
	SecretAccessKey Secret `yaml:"secret_access_key"`
	// OriginationIdentity is a number, sender id or pool.
	OriginationIdentity string `yaml:"origination_identity"`
	// ConfigurationSet sends its events to TopicARN, an SNS topic that pushes to our callback URL.
	ConfigurationSet string `yaml:"configuration_set"`
	TopicARN         string `yaml:"topic_arn"`
}

// Kannel is a gateway of one's own. It signs nothing: receipts are known by a secret in their address.
type Kannel struct {
	// URL is that of sendsms, like http://127.0.0.1:13013/cgi-bin/sendsms.
	URL      string `yaml:"url"`
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
	From     string `yaml:"from"`
	// SMSC chooses a link; empty leaves it to Kannel.
	SMSC string `yaml:"smsc"`
}

// Gateway describes any carrier with an HTTP interface.
type Gateway struct {
	sms.GatewayConfig `yaml:",inline"`
	// Secret is the password, token or header value that authenticates sends.
	Secret Secret `yaml:"secret"`
	// CallbackSecret is what the gateway proves its receipts with, where it has one of its own (receipt.auth hmac, basic or
	// secret). Empty is one made from the root secret, which stands in the address of each receipt.
	CallbackSecret         Secret `yaml:"callback_secret"`
	CallbackSecretPrevious Secret `yaml:"callback_secret_previous"`
}

func smsDefaults() SMS {
	return SMS{
		Twilio: Twilio{BaseURL: "https://api.twilio.com"},
		Vonage: Vonage{BaseURL: "https://rest.nexmo.com", SignatureMethod: "sha256"},
	}
}

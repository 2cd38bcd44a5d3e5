package sms

// GatewayConfig describes any carrier with an HTTP interface. BaseURL is not used; URL is.
//
// Body, URL, query and headers are templates. {to} is the number with "+", {to_digits} without; {text} the message, {from}
// the sender, {id} our own mark, {callback} where receipts for this one message go, {validity_seconds} and
// {validity_minutes} what is left of the passcode's life, {encoding} one of Encodings, and {username}, {password} and
// {token} the credentials. Each is encoded for its place: in JSON, quotes around a placeholder make it a string, and
// without them it is a whole value.
type GatewayConfig struct {
	Config `yaml:"-" json:"-"`

	// Method is POST when empty.
	Method string `yaml:"method"`
	// URL may have placeholders behind the host.
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers"`
	// BodyType is json, form, xml or text for a body, and query for none: then Body is added to the URL's query.
	BodyType string `yaml:"body_type"`
	Body     string `yaml:"body"`

	// Auth is basic (Username and Password), bearer (Token), header (Token in AuthHeader), or empty where credentials
	// stand in the templates.
	Auth       string `yaml:"auth"`
	AuthHeader string `yaml:"auth_header"`
	Username   string `yaml:"username"`
	Password   string `yaml:"-" json:"-"`
	Token      string `yaml:"-" json:"-"`

	// From is the sender.
	From string `yaml:"from"`
	// Encodings are the gateway's words for the alphabets of a text.
	Encodings GatewayEncodings `yaml:"encodings"`

	// Success says which answers are a yes. It must look into the answer, by a value of its own or by MessageID: a page of
	// somebody in between also has status 200.
	Success GatewaySuccess `yaml:"success"`
	// MessageID is the gateway's id of the message.
	MessageID Selector `yaml:"message_id"`
	// Refusal says what a no means.
	Refusal GatewayRefusal `yaml:"refusal"`
	// Receipt says how the gateway reports; without Outcomes it does not.
	Receipt GatewayReceipt `yaml:"receipt"`
	// CallbackSecrets authenticate receipts: one, or two while a rotation lasts.
	CallbackSecrets []string `yaml:"-" json:"-"`

	// CheckURL answers 200 to these credentials and changes nothing, such as the balance of the account. It is asked by
	// Check alone.
	CheckURL string `yaml:"check_url"`
}

// GatewayEncodings are words for {encoding}: "gsm" and "unicode" when empty.
type GatewayEncodings struct {
	GSM     string `yaml:"gsm"`
	Unicode string `yaml:"unicode"`
}

// GatewaySuccess is the rule for a yes.
type GatewaySuccess struct {
	// Statuses of HTTP; any 2xx when empty.
	Statuses []int `yaml:"statuses"`
	// Selector finds the value that decides, and Values are those that mean yes; with none, its presence does.
	Selector `yaml:",inline"`
	Values   []string `yaml:"values"`
}

// GatewayRefusal is the error table. A class is R (may work in a moment), S (this message will not get through here), C
// (an operator must look) or N (this number cannot be reached), and may be followed by whom it speaks of: "C/country".
// Without that, R and C speak of the carrier, S and N of the message. What is in no table is of class C.
type GatewayRefusal struct {
	// Selector finds the code; where it is not set, the value of Success is the code.
	Selector `yaml:",inline"`
	// Classes by code.
	Classes map[string]string `yaml:"classes"`
	// Statuses are classes by HTTP status, for answers without a code.
	Statuses map[int]string `yaml:"statuses"`
}

// GatewayReceipt says what a receipt looks like and how it is known to be genuine.
type GatewayReceipt struct {
	// Method is POST when empty, or GET.
	Method string `yaml:"method"`
	// Type is json (when empty) or form; GET has its fields in the query.
	Type string `yaml:"type"`
	// Items is the path of a list of receipts in a JSON body; empty for one receipt per call.
	Items string `yaml:"items"`
	// ID, MessageID, Status and Error are the fields with our mark, the gateway's id, what became of the message, and the
	// code of a failure. In JSON they are paths, below Items.
	ID        string `yaml:"id"`
	MessageID string `yaml:"message_id"`
	Status    string `yaml:"status"`
	Error     string `yaml:"error"`
	// Outcomes say what a status means: sent, delivered, read, failed or ignored. One that is not here is ignored.
	Outcomes map[string]string `yaml:"outcomes"`
	// Classes of failures, by the field Error, as in GatewayRefusal. What is not here is of class S.
	Classes map[string]string `yaml:"classes"`

	// Auth is token (when empty: the address that {callback} writes carries proof, for one message), secret (the gateway
	// knows one address, which ends in ?secret= and a callback secret), hmac or basic.
	Auth string `yaml:"auth"`
	// Header carries the signature of an hmac over the body; Algorithm is sha1, sha256 (when empty) or sha512; Encoding is
	// hex (when empty) or base64; Prefix stands before it, such as "sha256=".
	Header    string `yaml:"header"`
	Algorithm string `yaml:"algorithm"`
	Encoding  string `yaml:"encoding"`
	Prefix    string `yaml:"prefix"`
	// Username is that of basic; a callback secret is the password.
	Username string `yaml:"username"`
}

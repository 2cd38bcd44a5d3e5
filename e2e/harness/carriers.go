package harness

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/examples/handset"
)

// The carriers' accounts; the handset holds the other end of each.
const (
	phoneNumberID   = "106000000000001"
	metaToken       = "EAAe2eAccessTokenOfTheTestAccount0123456789"
	appSecret       = "5b1f0c9d3e7a48269c0d1e2f3a4b5c6d"
	verifyToken     = "a-verify-token-for-the-tests-only-42"
	smsFrom         = "+12025550123"
	twilioSID       = "AC5ef8732a3c49700934481addd5ce1659"
	twilioToken     = "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f"
	vonageKey       = "8d7c6b5a"
	vonageSecret    = "vonage secret of the test account"
	vonageSignature = "vonage signature secret of the test account"
	infobipKey      = "7c0d1e2f3a4b5c6d8e9f0a1b2c3d4e5f-00112233-4455-6677-8899-aabbccddeeff"
	awsKeyID        = "AKIAE2ETESTACCOUNT00"
	awsSecret       = "aws secret access key of the test account"
	awsTopic        = "arn:aws:sns:eu-central-1:123456789012:passcodes"
	kannelPassword  = "kannel password of the test account"
	gatewayKey      = "gateway key of the test account"
	gatewaySecret   = "gateway callback secret of the test account"
)

// accounts are the parts of the configuration about carriers.
func (in *Installation) accounts(o Options) string {
	carriers, routes := strings.Join(o.Carriers, ", "), o.Routes
	if carriers == "" {
		carriers = "twilio"
	}
	if routes == "" {
		routes = "{}"
	}
	return strings.NewReplacer("HANDSET", in.HandsetURL).Replace(fmt.Sprintf(`whatsapp: {base_url: HANDSET, phone_number_id: "%s", account_id: "102000000000001", access_token: %s, app_secret: %s, verify_token: %s}
sms:
  carriers: [%s]
  routes: %s
  twilio: {base_url: HANDSET, account_sid: %s, auth_token: %s, from: "%s"}
  vonage: {base_url: HANDSET, api_key: %s, api_secret: %s, signature_secret: %s, from: "%s"}
  infobip: {base_url: HANDSET, api_key: %s, from: "%s"}
  aws: {base_url: HANDSET, region: eu-central-1, access_key_id: %s, secret_access_key: %s, origination_identity: "%s",
    configuration_set: parola, topic_arn: "%s"}
  kannel: {url: HANDSET/cgi-bin/sendsms, username: parola, password: %s, from: Parola}
  gateway:
    url: HANDSET/gateway/messages
    body_type: json
    body: '{"to": "{to_digits}", "from": "{from}", "text": "{text}", "encoding": {encoding}, "reference": "{id}",
      "notify_url": "{callback}", "ttl": {validity_seconds}}'
    auth: header
    auth_header: X-Api-Key
    secret: %s
    callback_secret: %s
    from: Parola
    encodings: {gsm: text}
    success: {json: result.code, values: ["0"]}
    message_id: {json: result.id}
    refusal: {classes: {"12": N, "20": C, "30": S, "40": R, "50": C/country}}
    receipt: {items: receipts, id: reference, message_id: id, status: status, error: error, auth: hmac, header: X-Gateway-Signature,
      prefix: "sha256=", outcomes: {ENROUTE: sent, DELIVRD: delivered, UNDELIV: failed, REJECTD: failed}}
`, phoneNumberID, metaToken, appSecret, verifyToken, carriers, routes, twilioSID, twilioToken, smsFrom,
		vonageKey, vonageSecret, vonageSignature, smsFrom, infobipKey, smsFrom, awsKeyID, awsSecret, smsFrom, awsTopic,
		kannelPassword, gatewayKey, gatewaySecret))
}

func (in *Installation) startHandset(webhook string, deliverAfter time.Duration) {
	t := in.t
	template := handset.DefaultTemplate
	template.TTL = time.Second
	var err error
	in.Handset, err = handset.New(handset.Config{
		PhoneNumberID: phoneNumberID, AccessToken: metaToken, AppSecret: appSecret, WebhookURL: webhook,
		Templates: []handset.Template{template}, PairRateOff: true, AccountSID: twilioSID, AuthToken: twilioToken, SMSFrom: smsFrom,
		Vonage:         handset.VonageAccount{Key: vonageKey, Secret: vonageSecret, SignatureSecret: vonageSignature},
		Infobip:        handset.InfobipAccount{Key: infobipKey},
		AWS:            handset.AWSAccount{AccessKeyID: awsKeyID, SecretAccessKey: awsSecret, ConfigurationSet: "parola", TopicARN: awsTopic},
		KannelUsername: "parola", KannelPassword: kannelPassword, GatewayKey: gatewayKey, GatewaySecret: gatewaySecret,
		DeliverAfter: deliverAfter,
	})
	if err != nil {
		t.Fatal(err)
	}
	in.calls = &calls{to: map[string]int{}}
	in.Tap = rig.NewTap(in.calls.counting(in.Handset))
	server := httptest.NewServer(in.Tap)
	in.HandsetURL = server.URL
	t.Cleanup(func() {
		_ = in.Handset.Close()
		server.CloseClientConnections()
		server.Close()
	})
}

// SubscribeTopic has AWS push its events to the provider, which must be running and confirm that.
func (in *Installation) SubscribeTopic() {
	in.t.Helper()
	if err := in.Handset.SubscribeTopic(context.Background(), in.HandsetURL, in.Issuer+"/webhooks/sms/aws"); err != nil {
		in.t.Fatal(err)
	}
}

// calls counts what carriers are asked to send, whatever they answer.
type calls struct {
	mu sync.Mutex
	to map[string]int // by carrier
}

func (c *calls) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if carrier := carrierOf(r); carrier != "" {
			c.mu.Lock()
			c.to[carrier]++
			c.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// carrierOf is who a send is for; empty for every other request.
func carrierOf(r *http.Request) string {
	post := r.Method == http.MethodPost
	switch path := r.URL.Path; {
	case path == "/cgi-bin/sendsms":
		return "kannel"
	case !post:
		return ""
	case path == "/":
		return "aws"
	case path == "/sms/json":
		return "vonage"
	case path == "/sms/3/messages":
		return "infobip"
	case path == "/gateway/messages":
		return "gateway"
	case strings.HasSuffix(path, "/Messages.json"):
		return "twilio"
	case strings.HasSuffix(path, "/messages"):
		return "meta"
	}
	return ""
}

// CallsTo is how often a carrier was asked to send, over all numbers, including what it refused or left without an answer.
func (in *Installation) CallsTo(carrier string) int {
	in.calls.mu.Lock()
	defer in.calls.mu.Unlock()
	return in.calls.to[carrier]
}

// Calls is CallsTo over the carriers of a channel.
func (in *Installation) Calls(channel string) int {
	in.calls.mu.Lock()
	defer in.calls.mu.Unlock()
	n := 0
	for carrier, times := range in.calls.to {
		if (carrier == "meta") == (channel == "whatsapp") {
			n += times
		}
	}
	return n
}

// Meta changes how the business stands with Meta, given as JSON members: Meta(`"identity_check":true`).
func (in *Installation) Meta(members string) {
	in.t.Helper()
	ask(in.t, http.MethodPatch, in.HandsetURL+"/meta", "{"+members+"}", http.StatusOK)
}

// Emit has Meta post one of its webhooks about the account, with these JSON members of its value changed.
func (in *Installation) Emit(name, members string) {
	in.t.Helper()
	ask(in.t, http.MethodPost, in.HandsetURL+"/emit", fmt.Sprintf(`{"payload":%q,"set":{%s}}`, name, members), http.StatusAccepted)
}

// ForAll sets the switches of all phones, as Phone.Switch does those of one.
func (in *Installation) ForAll(members string) {
	in.t.Helper()
	NewPhone(in.t, in.HandsetURL, "").Switch(members)
}

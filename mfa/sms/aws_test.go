package sms_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/examples/handset"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

const topicARN = "arn:aws:sns:eu-central-1:123456789012:parola"

func awsConfig(e channeltest.Env) sms.AWSConfig {
	return sms.AWSConfig{
		Config: config(e), Region: "eu-central-1", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret access key",
		OriginationIdentity: "+12025550123", ConfigurationSet: "parola", TopicARN: topicARN, Clock: clock.System{},
	}
}

func newAWS(t *testing.T, e channeltest.Env, change ...func(*sms.AWSConfig)) *sms.AWS {
	t.Helper()
	cfg := awsConfig(e)
	for _, f := range change {
		f(&cfg)
	}
	c, err := sms.NewAWS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func awsEvent(kind, deliveryID string, padding int) string {
	return fmt.Sprintf(`{"eventType":%q,"eventTimestamp":1789387380000,"messageId":"theirs","destinationPhoneNumber":%q,"context":{"delivery":%q},"future":%q}`,
		kind, channeltest.Number, deliveryID, strings.Repeat("x", padding))
}

func TestAWS_Contract(t *testing.T) {
	h, url := newHandset(t, func(c *handset.Config) {
		c.AWS = handset.AWSAccount{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret access key", ConfigurationSet: "parola", TopicARN: topicARN}
	})
	amazon := newSNS(t)
	certHosts := []string{strings.TrimPrefix(url, "http://"), amazon.host}
	aws := func(name string, class mfa.Class, scope mfa.Scope) channeltest.Refusal {
		return channeltest.Refusal{
			Name: name, Switches: map[string]any{"aws": name},
			Want: mfa.Refused{Failure: mfa.Failure{Class: class, Code: name, Scope: scope}, NotSent: true},
		}
	}
	channeltest.Run(t, channeltest.Harness{
		HandsetURL: url, Kind: "sms", Carrier: "aws", CarrierSwitch: "aws", TooLarge: 300 << 10, Proof: channeltest.JSONProof("Signature"),
		IsSend: func(r *http.Request) bool { return r.Method == http.MethodPost },
		New: func(t *testing.T, e channeltest.Env) channeltest.Subject {
			c := newAWS(t, e, func(c *sms.AWSConfig) { c.CertHosts = certHosts })
			return channeltest.Subject{Channel: c, Handler: c.Handler, Ready: func(t *testing.T) {
				if err := h.SubscribeTopic(t.Context(), url, e.CallbackURL); err != nil {
					t.Fatal(err)
				}
			}}
		},
		Check: func(t *testing.T, e channeltest.Env, right bool) []mfa.Finding {
			return newAWS(t, e, func(c *sms.AWSConfig) {
				if !right {
					c.SecretAccessKey = "another"
				}
			}).Check(t.Context())
		},
		Refusals: []channeltest.Refusal{
			aws("DESTINATION_PHONE_NUMBER_OPTED_OUT", mfa.ClassFallback, mfa.ScopeMessage),
			aws("DESTINATION_COUNTRY_BLOCKED", mfa.ClassConfig, mfa.ScopeCountry),
			aws("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", mfa.ClassConfig, mfa.ScopeCarrier),
			aws("AccessDeniedException", mfa.ClassConfig, mfa.ScopeCarrier),
			aws("ThrottlingException", mfa.ClassRetry, mfa.ScopeCarrier),
		},
		Callback: func(t *testing.T, callbackURL string, s channeltest.Secret, deliveryID string, padding int) *http.Request {
			m := amazon.notification(awsEvent("TEXT_DELIVERED", deliveryID, padding))
			m["SigningCertURL"] = amazon.url + "/SimpleNotificationService-" + snsNames[s] + ".pem"
			return snsRequest(t, callbackURL, sign(t, amazon.keys[s], m))
		},
	})
}

func TestAWS_Event(t *testing.T) {
	failed := func(class mfa.Class, code string, scope mfa.Scope) *mfa.Report {
		return &mfa.Report{Status: mfa.StatusFailed, Failure: mfa.Failure{Class: class, Code: code, Scope: scope}}
	}
	for kind, want := range map[string]*mfa.Report{
		"TEXT_QUEUED": nil, "TEXT_PENDING": nil, "TEXT_UNKNOWN": nil, "TEXT_TELEPORTED": nil, "VOICE_FAILED": nil, "AccessDeniedException": nil,
		"TEXT_SENT": {Status: mfa.StatusSent}, "TEXT_SUCCESSFUL": {Status: mfa.StatusDelivered}, "TEXT_DELIVERED": {Status: mfa.StatusDelivered},
		"TEXT_INVALID":         failed(mfa.ClassNumber, "TEXT_INVALID", mfa.ScopeMessage),
		"TEXT_UNREACHABLE":     failed(mfa.ClassFallback, "TEXT_UNREACHABLE", mfa.ScopeMessage),
		"TEXT_PROTECT_BLOCKED": failed(mfa.ClassFallback, "TEXT_PROTECT_BLOCKED", mfa.ScopeCountry),
		"TEXT_TTL_EXPIRED":     failed(mfa.ClassFallback, "TEXT_TTL_EXPIRED", mfa.ScopeMessage),
	} {
		t.Run(kind, func(t *testing.T) {
			amazon := newSNS(t)
			c := newAWS(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/aws"}, func(c *sms.AWSConfig) {
				c.CertHosts = []string{amazon.host}
			})
			code, reports := answer(t, c, snsRequest(t, "/", sign(t, amazon.keys[channeltest.Current], amazon.notification(awsEvent(kind, "ours", 0)))))
			wantReports(t, code, reports, want, mfa.Report{Carrier: "aws", DeliveryID: "ours", MessageID: "theirs", At: time.UnixMilli(1789387380000)})
		})
	}
}

func TestAWS_TheRequest(t *testing.T) {
	var got string
	var header http.Header
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, header = string(body), r.Header
		fmt.Fprint(w, `{"MessageId":"theirs"}`)
	}))
	defer carrier.Close()
	m := channeltest.Message(t)
	m.ValidFor = 299*time.Second + 900*time.Millisecond
	env := channeltest.Env{CarrierURL: carrier.URL, CallbackURL: "https://otp.example.com/aws"}
	sent, err := newAWS(t, env).Send(t.Context(), m)
	if err != nil || sent.MessageID != "theirs" {
		t.Fatalf("got %+v, %v", sent, err)
	}
	want := `{"ConfigurationSetName":"parola","Context":{"delivery":"` + m.DeliveryID + `"},"DestinationPhoneNumber":"` + channeltest.Number + `",` +
		`"MessageBody":"049302 (it)\n\n@login.example.com #049302","MessageType":"TRANSACTIONAL","OriginationIdentity":"+12025550123","TimeToLive":299}`
	if got != want || header.Get("X-Amz-Target") != "PinpointSMSVoiceV2.SendTextMessage" || header.Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Errorf("%v\n got %s\nwant %s", header, got, want)
	}
	m.ValidFor = time.Second
	if _, err := newAWS(t, env, func(c *sms.AWSConfig) { c.ConfigurationSet, c.TopicARN = "", "" }).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "ConfigurationSetName") || !strings.Contains(got, `"TimeToLive":5`) {
		t.Errorf("without a configuration set, near the end: %s", got)
	}
}

func TestAWS_AnswersThatAreNotInTheBook(t *testing.T) {
	refused := func(class mfa.Class, code string, scope mfa.Scope) mfa.Refused {
		return mfa.Refused{Failure: mfa.Failure{Class: class, Code: code, Scope: scope}, NotSent: true}
	}
	for name, tt := range map[string]struct {
		status int
		body   string
		want   mfa.Refused // zero: unknown
	}{
		"an exception of tomorrow":        {400, `{"__type":"TeleportException"}`, refused(mfa.ClassConfig, "TeleportException", mfa.ScopeMessage)},
		"an exception with its namespace": {400, `{"__type":"com.amazonaws.x#ThrottlingException"}`, refused(mfa.ClassRetry, "ThrottlingException", mfa.ScopeCarrier)},
		"a reason of tomorrow":            {400, `{"__type":"ConflictException","Reason":"MOON"}`, refused(mfa.ClassConfig, "ConflictException", mfa.ScopeMessage)},
		"a number that is at fault":       {400, `{"__type":"ValidationException","Fields":[{"Name":"DestinationPhoneNumber"}]}`, refused(mfa.ClassNumber, "DestinationPhoneNumber", mfa.ScopeMessage)},
		"an exception that is no word":    {400, `{"__type":"+393331234567"}`, refused(mfa.ClassConfig, "none", mfa.ScopeMessage)},
		"a fault of AWS":                  {500, `{"__type":"InternalServerException"}`, mfa.Refused{}},
		"accepted without an id":          {200, `{}`, mfa.Refused{}},
		"a page":                          {403, `<html>`, refused(mfa.ClassConfig, "http_403", mfa.ScopeCarrier)},
	} {
		t.Run(name, func(t *testing.T) {
			wantAnswerRead(t, tt.status, tt.body, tt.want, func(e channeltest.Env) mfa.Channel { return newAWS(t, e) })
		})
	}
}

func TestAWS_CheckLooksAtTheWayOfEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*sms.AWSConfig)
		want   map[string]mfa.FindingStatus
	}{
		"all well":                     {func(*sms.AWSConfig) {}, map[string]mfa.FindingStatus{"aws: events": mfa.FindingOK, "aws: origination identity": mfa.FindingOK}},
		"no topic":                     {func(c *sms.AWSConfig) { c.ConfigurationSet, c.TopicARN = "", "" }, map[string]mfa.FindingStatus{"aws: events": mfa.FindingWarning}},
		"another topic":                {func(c *sms.AWSConfig) { c.TopicARN += "x" }, map[string]mfa.FindingStatus{"aws: events": mfa.FindingFailed}},
		"an unknown configuration set": {func(c *sms.AWSConfig) { c.ConfigurationSet = "x" }, map[string]mfa.FindingStatus{"aws: events": mfa.FindingFailed}},
		"somebody else's number":       {func(c *sms.AWSConfig) { c.OriginationIdentity = "+12025550199" }, map[string]mfa.FindingStatus{"aws: origination identity": mfa.FindingFailed}},
		"an unknown pool":              {func(c *sms.AWSConfig) { c.OriginationIdentity = "pool-1" }, map[string]mfa.FindingStatus{"aws: origination identity": mfa.FindingFailed}},
		"an unknown sender id":         {func(c *sms.AWSConfig) { c.OriginationIdentity = "PAROLA" }, map[string]mfa.FindingStatus{"aws: origination identity": mfa.FindingFailed}},
		"a callback over http":         {func(c *sms.AWSConfig) { c.CallbackURL = "http://otp.example.com/aws" }, map[string]mfa.FindingStatus{"aws: callback URL": mfa.FindingFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := newHandset(t, func(c *handset.Config) {
				c.AWS = handset.AWSAccount{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret access key", ConfigurationSet: "parola", TopicARN: topicARN}
			})
			c := newAWS(t, channeltest.Env{CarrierURL: url, CallbackURL: "https://otp.example.com/aws"}, tt.change)
			found := map[string]mfa.FindingStatus{}
			for _, f := range c.Check(t.Context()) {
				found[f.Name] = f.Status
			}
			for finding, status := range tt.want {
				if found[finding] != status {
					t.Errorf("%s: %q, want %q", finding, found[finding], status)
				}
			}
		})
	}
}

func TestNewAWS_RefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*sms.AWSConfig){
		"region":                            func(c *sms.AWSConfig) { c.Region = "" },
		"a region that is another host":     func(c *sms.AWSConfig) { c.Region = "evil.example/" },
		"key":                               func(c *sms.AWSConfig) { c.AccessKeyID = "" },
		"secret":                            func(c *sms.AWSConfig) { c.SecretAccessKey = "" },
		"identity":                          func(c *sms.AWSConfig) { c.OriginationIdentity = "" },
		"a configuration set without topic": func(c *sms.AWSConfig) { c.TopicARN = "" },
		"a topic without configuration set": func(c *sms.AWSConfig) { c.ConfigurationSet = "" },
		"a topic that is none":              func(c *sms.AWSConfig) { c.TopicARN = "parola" },
		"clock":                             func(c *sms.AWSConfig) { c.Clock = nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := awsConfig(channeltest.Env{CallbackURL: "https://otp.example.com/aws"})
			change(&cfg)
			if _, err := sms.NewAWS(cfg); err == nil {
				t.Error("taken")
			}
		})
	}
}

package sms_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/sms"
)

// sns is Amazon's side: keys with their certificates, and a server that has them.
type sns struct {
	url, host string
	keys      map[channeltest.Secret]*rsa.PrivateKey

	mu      sync.Mutex
	visited []string
}

// snsNames are the certificates' addresses. The foreign one is that of the current key: a forger may name any address.
var snsNames = map[channeltest.Secret]string{channeltest.Current: "0a", channeltest.Previous: "0b", channeltest.Foreign: "0a"}

// snsKeys are made once for all tests: they take time.
var snsKeys = sync.OnceValue(func() map[channeltest.Secret]*rsa.PrivateKey {
	keys := map[channeltest.Secret]*rsa.PrivateKey{}
	for s := range snsNames {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[s] = key
	}
	return keys
})

func newSNS(t *testing.T) *sns {
	t.Helper()
	s := &sns{keys: snsKeys()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.visited = append(s.visited, r.URL.RequestURI())
		s.mu.Unlock()
		switch r.URL.Path {
		case "/SimpleNotificationService-0a.pem":
			_, _ = w.Write(certificate(t, s.keys[channeltest.Current], time.Now().Add(time.Hour)))
		case "/SimpleNotificationService-0b.pem":
			_, _ = w.Write(certificate(t, s.keys[channeltest.Previous], time.Now().Add(time.Hour)))
		case "/SimpleNotificationService-0c.pem":
			_, _ = w.Write(certificate(t, s.keys[channeltest.Current], time.Now().Add(-time.Minute)))
		case "/SimpleNotificationService-0d.pem":
			_, _ = io.WriteString(w, "no certificate")
		case "/SimpleNotificationService-0e.pem":
			w.WriteHeader(http.StatusBadGateway)
		case "/confirm":
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.url, s.host = server.URL, strings.TrimPrefix(server.URL, "http://")
	return s
}

func certificate(t *testing.T, key *rsa.PrivateKey, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// notification is a message of SNS before it is signed.
func (s *sns) notification(event string) map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "1", "TopicArn": topicARN, "Message": event, "SignatureVersion": "2",
		"Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "SigningCertURL": s.url + "/SimpleNotificationService-0a.pem",
	}
}

func (s *sns) confirmation() map[string]string {
	m := s.notification("You have chosen to subscribe.")
	m["Type"], m["Token"], m["SubscribeURL"] = "SubscriptionConfirmation", "token", s.url+"/confirm?Token=token"
	return m
}

// sign signs m as SNS documents it.
func sign(t *testing.T, key *rsa.PrivateKey, m map[string]string) map[string]string {
	t.Helper()
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	text := ""
	for _, name := range names {
		if value, there := m[name]; there {
			text += name + "\n" + value + "\n"
		}
	}
	digest, hash := crypto.SHA256, sha256.Sum256([]byte(text))
	sum := hash[:]
	if m["SignatureVersion"] == "1" {
		short := sha1.Sum([]byte(text))
		digest, sum = crypto.SHA1, short[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, key, digest, sum)
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return m
}

func snsRequest(t *testing.T, address string, m any) *http.Request {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	return req
}

func TestWH03_AWS_ANotificationIsOfOurTopicAndSignedBySNS(t *testing.T) {
	amazon := newSNS(t)
	type message = map[string]string
	resigned := func(change func(m message)) message {
		m := amazon.notification(awsEvent("TEXT_DELIVERED", "ours", 0))
		change(m)
		return sign(t, amazon.keys[channeltest.Current], m)
	}
	tampered := func(change func(m message)) message {
		m := resigned(func(message) {})
		change(m)
		return m
	}
	at := func(name string) message {
		return resigned(func(m message) { m["SigningCertURL"] = amazon.url + "/SimpleNotificationService-" + name + ".pem" })
	}
	elsewhere := func(address string) message { return resigned(func(m message) { m["SigningCertURL"] = address }) }
	for name, tt := range map[string]struct {
		m    message
		want int
	}{
		"of version 2":                 {resigned(func(message) {}), http.StatusNoContent},
		"of version 1":                 {resigned(func(m message) { m["SignatureVersion"] = "1" }), http.StatusNoContent},
		"with a subject":               {resigned(func(m message) { m["Subject"] = "subject" }), http.StatusNoContent},
		"of a version of tomorrow":     {resigned(func(m message) { m["SignatureVersion"] = "3" }), http.StatusForbidden},
		"of another topic":             {resigned(func(m message) { m["TopicArn"] = topicARN + "x" }), http.StatusForbidden},
		"of an hour ago":               {resigned(func(m message) { m["Timestamp"] = time.Now().Add(-61 * time.Minute).UTC().Format(time.RFC3339) }), http.StatusForbidden},
		"without a time":               {resigned(func(m message) { delete(m, "Timestamp") }), http.StatusForbidden},
		"with another event":           {tampered(func(m message) { m["Message"] = awsEvent("TEXT_BLOCKED", "ours", 0) }), http.StatusForbidden},
		"with a subject added":         {tampered(func(m message) { m["Subject"] = "subject" }), http.StatusForbidden},
		"that is called another thing": {tampered(func(m message) { m["Type"] = "SubscriptionConfirmation" }), http.StatusForbidden},
		"without a certificate":        {tampered(func(m message) { delete(m, "SigningCertURL") }), http.StatusUnauthorized},
		"raw, as the topic can be set": {message{"eventType": "TEXT_DELIVERED"}, http.StatusUnauthorized},
		"with an old certificate":      {at("0c"), http.StatusForbidden},
		"with no certificate":          {at("0d"), http.StatusForbidden},
		"with one that is not there":   {at("0f"), http.StatusForbidden},
		"while Amazon has a bad day":   {at("0e"), http.StatusServiceUnavailable},
		"from any host":                {elsewhere("https://evil.example/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"from a bucket called sns":     {elsewhere("https://sns.s3.amazonaws.com/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"from another region":          {elsewhere("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"from another port":            {elsewhere("https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"over http":                    {elsewhere("http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"with a name before the host":  {elsewhere("https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-0a.pem"), http.StatusForbidden},
		"from another path":            {elsewhere(amazon.url + "/confirm"), http.StatusForbidden},
		"with a query":                 {elsewhere(amazon.url + "/SimpleNotificationService-0a.pem?a=b"), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			reason := ""
			c := newAWS(t, channeltest.Env{
				CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/aws", Rejected: func(_ context.Context, r string) { reason = r },
			}, func(c *sms.AWSConfig) { c.CertHosts = []string{amazon.host} })
			code, reports := answer(t, c, snsRequest(t, "/", tt.m))
			if code != tt.want || (code == http.StatusNoContent) != (len(reports) == 1) || (reason == "") != (code == http.StatusNoContent) {
				t.Errorf("answered %d with %d reports, rejected %q, want %d", code, len(reports), reason, tt.want)
			}
		})
	}
	t.Run("the certificate is fetched once", func(t *testing.T) {
		amazon := newSNS(t)
		c := newAWS(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/aws"}, func(c *sms.AWSConfig) {
			c.CertHosts = []string{amazon.host}
		})
		for range 3 {
			m := sign(t, amazon.keys[channeltest.Current], amazon.notification(awsEvent("TEXT_SENT", "ours", 0)))
			if code, _ := answer(t, c, snsRequest(t, "/", m)); code != http.StatusNoContent {
				t.Errorf("answered %d", code)
			}
		}
		if len(amazon.visited) != 1 {
			t.Errorf("visited %q", amazon.visited)
		}
	})
	t.Run("forgeries do not make us call out without end", func(t *testing.T) {
		amazon := newSNS(t)
		now := clock.NewManual(time.Now())
		c := newAWS(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/aws"}, func(c *sms.AWSConfig) {
			c.CertHosts, c.Clock = []string{amazon.host}, now
		})
		for i := range 50 {
			m := amazon.notification("")
			m["SigningCertURL"], m["Signature"] = fmt.Sprintf("%s/SimpleNotificationService-%x.pem", amazon.url, 1000+i), "AAAA"
			answer(t, c, snsRequest(t, "/", m))
		}
		if n := len(amazon.visited); n == 0 || n > 20 {
			t.Errorf("%d calls", n)
		}
		now.Advance(2 * time.Minute)
		m := sign(t, amazon.keys[channeltest.Current], amazon.notification(awsEvent("TEXT_SENT", "ours", 0)))
		if code, _ := answer(t, c, snsRequest(t, "/", m)); code != http.StatusNoContent {
			t.Errorf("a good one later: answered %d", code)
		}
	})
}

func TestAWS_ConfirmsASubscriptionToItsOwnTopicOnly(t *testing.T) {
	type message = map[string]string
	for name, tt := range map[string]struct {
		change  func(amazon *sns, m message)
		want    int
		visited bool
	}{
		"of ours":                      {func(*sns, message) {}, http.StatusNoContent, true},
		"of another topic":             {func(_ *sns, m message) { m["TopicArn"] = topicARN + "x" }, http.StatusForbidden, false},
		"that leads elsewhere":         {func(_ *sns, m message) { m["SubscribeURL"] = "https://evil.example/confirm" }, http.StatusForbidden, false},
		"whose token is over":          {func(s *sns, m message) { m["SubscribeURL"] = s.url + "/gone" }, http.StatusForbidden, false},
		"while Amazon has a bad day":   {func(s *sns, m message) { m["SubscribeURL"] = s.url + "/SimpleNotificationService-0e.pem" }, http.StatusServiceUnavailable, false},
		"the end of one needs nothing": {func(_ *sns, m message) { m["Type"] = "UnsubscribeConfirmation" }, http.StatusNoContent, false},
	} {
		t.Run(name, func(t *testing.T) {
			amazon := newSNS(t)
			c := newAWS(t, channeltest.Env{CarrierURL: "https://example.com", CallbackURL: "https://otp.example.com/aws"}, func(c *sms.AWSConfig) {
				c.CertHosts = []string{amazon.host}
			})
			m := amazon.confirmation()
			tt.change(amazon, m)
			code, reports := answer(t, c, snsRequest(t, "/", sign(t, amazon.keys[channeltest.Current], m)))
			confirmed := strings.Contains(strings.Join(amazon.visited, " "), "/confirm?Token=token")
			if code != tt.want || confirmed != tt.visited || reports != nil {
				t.Errorf("answered %d, visited %q", code, amazon.visited)
			}
		})
	}
}

func FuzzAWSNotification(f *testing.F) {
	f.Add([]byte(`{"Type":"Notification","Message":"{}","Signature":"AAAA","SigningCertURL":"https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a.pem"}`))
	f.Add([]byte(`{"Type":"SubscriptionConfirmation","SubscribeURL":"https://sns.eu-central-1.amazonaws.com@evil.example"}`))
	f.Add([]byte(`[`))
	cfg := awsConfig(channeltest.Env{CallbackURL: "https://otp.example.com/aws"})
	cfg.HTTPClient = &http.Client{Transport: noNetwork{}}
	c, err := sms.NewAWS(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		code, reports := answer(t, c, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if code == http.StatusNoContent || reports != nil {
			t.Fatalf("answered %d with %d reports to what nobody signed", code, len(reports))
		}
	})
}

// noNetwork lets calls go to Amazon in the topic's region only, and nowhere.
type noNetwork struct{}

func (noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Host != "sns.eu-central-1.amazonaws.com" {
		panic("called " + r.URL.String())
	}
	return nil, io.ErrUnexpectedEOF
}

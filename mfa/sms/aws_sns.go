package sms

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // SignatureVersion 1, which topics have unless they are told otherwise
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
)

const (
	// maxCertificates bounds the cache; Amazon has one per region and changes it once a year.
	maxCertificates = 8
	// Forged notifications name certificates that do not exist: so many calls a minute are made for certificates, no more.
	maxFetches   = 12
	fetchWindow  = time.Minute
	fetchTimeout = 3 * time.Second
	// snsFresh is how old a notification may be. SNS keeps its time when it sends one again, and gives up within an hour.
	snsFresh = time.Hour
)

// snsMessage is what SNS posts to a subscriber: a notification, or the question whether it wants the topic.
type snsMessage struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicARN         string `json:"TopicArn"`
	Token            string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
}

const (
	snsNotification = "Notification"
	snsConfirmation = "SubscriptionConfirmation"
)

// text is what is signed: names and values in the order of the names, each on a line of its own.
func (m snsMessage) text() string {
	parts := []string{"Message", m.Message, "MessageId", m.MessageID}
	if m.Type == snsNotification {
		if m.Subject != nil {
			parts = append(parts, "Subject", *m.Subject)
		}
		parts = append(parts, "Timestamp", m.Timestamp)
	} else {
		parts = append(parts, "SubscribeURL", m.SubscribeURL, "Timestamp", m.Timestamp, "Token", m.Token)
	}
	parts = append(parts, "TopicArn", m.TopicARN, "Type", m.Type)
	return strings.Join(parts, "\n") + "\n"
}

// snsTopic knows notifications of one topic.
type snsTopic struct {
	arn        string
	host       string // of its region
	certHosts  []string
	httpClient *http.Client
	clock      clock.Clock

	mu           sync.Mutex
	certificates map[string]*x509.Certificate
	fetches      []time.Time // of the last minute
}

func newSNSTopic(arn string, certHosts []string, httpClient *http.Client, c clock.Clock) *snsTopic {
	region := awsTopicARN.FindStringSubmatch(arn)[1]
	return &snsTopic{
		arn: arn, host: "sns." + region + awsDomain(region), certHosts: certHosts, httpClient: httpClient, clock: c,
		certificates: make(map[string]*x509.Certificate),
	}
}

var (
	errForged  = errors.New("the signature does not fit")
	errStale   = errors.New("the notification is old")
	errNowhere = errors.New("sns has nothing at the address")
)

// verify says whether SNS sent m about the topic. Errors other than those above mean that the certificate could not be
// had, so that nobody knows.
func (t *snsTopic) verify(ctx context.Context, m snsMessage) error {
	address, allowed := t.address(m.SigningCertURL)
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if m.TopicARN != t.arn || !allowed || !certificatePath.MatchString(address.Path) || address.RawQuery != "" || err != nil {
		return errForged
	}
	certificate, err := t.certificate(ctx, address.String())
	if err != nil {
		return err
	}
	key, isRSA := certificate.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return errForged
	}
	text := []byte(m.text())
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		err = errForged
	}
	if err != nil {
		return errForged
	}
	if at, err := time.Parse(time.RFC3339, m.Timestamp); err != nil || t.clock.Now().Sub(at).Abs() > snsFresh {
		return errStale
	}
	return nil
}

var certificatePath = regexp.MustCompile(`^/[A-Za-z0-9/]*SimpleNotificationService-[0-9a-f]+\.pem$`)

// address reads an address that a notification names, and says whether it is SNS's own in the topic's region. Any other
// host below amazonaws.com may be somebody's bucket.
func (t *snsTopic) address(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Fragment != "" {
		return nil, false
	}
	if slices.Contains(t.certHosts, u.Host) {
		return u, u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
	}
	return u, u.Scheme == "https" && u.Host == t.host
}

// certificate returns the one at an address, from memory where it is there. One caller fetches at a time.
func (t *snsTopic) certificate(ctx context.Context, address string) (*x509.Certificate, error) {
	now := t.clock.Now()
	known, may := t.known(address, now)
	switch {
	case known != nil:
		return known, nil
	case !may:
		return nil, errors.New("fetch certificate: too many were asked for")
	}
	body, err := t.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("fetch certificate: %w", err)
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, errForged
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return nil, errForged
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.certificates) >= maxCertificates {
		clear(t.certificates)
	}
	t.certificates[address] = c
	return c, nil
}

// known returns a certificate that was fetched before; otherwise it says whether one may be fetched now. Nobody waits here
// for somebody else's fetch: forged addresses must not keep genuine notifications waiting.
func (t *snsTopic) known(address string, now time.Time) (c *x509.Certificate, may bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.certificates[address]; c != nil && now.Before(c.NotAfter) {
		return c, true
	}
	t.fetches = slices.DeleteFunc(t.fetches, func(at time.Time) bool { return now.Sub(at) > fetchWindow })
	if len(t.fetches) >= maxFetches {
		return nil, false
	}
	t.fetches = append(t.fetches, now)
	return nil, true
}

// get reads an address that has been found to be SNS's own.
func (t *snsTopic) get(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := mfa.Call(ctx, t.httpClient, req)
	if err != nil {
		return nil, err
	}
	switch {
	case answer.Status == http.StatusOK:
		return answer.Body, nil
	case answer.Status >= 400 && answer.Status <= 499:
		return nil, errNowhere
	default:
		return nil, fmt.Errorf("sns answered %d", answer.Status)
	}
}

// confirm subscribes us to the topic, as m invites us to.
func (t *snsTopic) confirm(ctx context.Context, m snsMessage) error {
	address, allowed := t.address(m.SubscribeURL)
	if !allowed {
		return errForged
	}
	if _, err := t.get(ctx, address.String()); err != nil {
		return fmt.Errorf("confirm subscription: %w", err)
	}
	return nil
}

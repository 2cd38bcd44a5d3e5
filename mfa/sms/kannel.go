package sms

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/gsm7"
	"github.com/parola-id/parola/mfa"
)

// KannelConfig says which Kannel sends, and as whom. BaseURL is the whole address of its sendsms, such as
// http://127.0.0.1:13013/cgi-bin/sendsms. That request carries the password and the passcode in its address, so sendsms
// belongs on this machine or behind TLS (sendsms-port-ssl).
type KannelConfig struct {
	Config
	// Username and Password are those of a sendsms-user.
	Username string
	Password string
	// From is the sender; Kannel's own default when empty.
	From string
	// SMSC chooses a link by its smsc-id; empty leaves it to Kannel.
	SMSC string
	// Priority is 0 to 3; what it means is the link's.
	Priority int
	// CallbackSecrets authenticate receipts, which Kannel does not sign: one, or two while a rotation lasts.
	CallbackSecrets []string
}

// Kannel sends passcodes through a Kannel gateway of one's own. It implements mfa.Channel.
type Kannel struct {
	carrier
	account KannelConfig
}

var _ mfa.Channel = (*Kannel)(nil)

// NewKannel returns a channel through Kannel, or says what is missing in the configuration.
func NewKannel(c KannelConfig) (*Kannel, error) {
	var w wants
	c.Config.check(&w)
	w.that(c.Username != "" && c.Password != "", "set username and password of a sendsms-user")
	w.that(c.Priority >= 0 && c.Priority <= 3, "the priority is 0 to 3")
	w.that(!strings.Contains(c.CallbackURL, "%"), "the callback URL must have no percent sign: Kannel would read it as an escape of its own")
	w.that(filled(c.CallbackSecrets), "set a callback secret: without it no receipt can be trusted")
	if err := w.err("kannel"); err != nil {
		return nil, err
	}
	return &Kannel{carrier: newCarrier("kannel", c.Config, KannelCodes()), account: c}, nil
}

// The codes of kannelRefusals and of receipts that a message failed.
const (
	kannelAuth        = "auth"
	kannelNotRoutable = "not_routable"
	kannelDenied      = "denied"
	kannelTemporary   = "temporary"
	kannelUndelivered = "dlr_2"
	kannelRejected    = "dlr_16"
)

// KannelCodes is the error table. Kannel has no codes: these are our words for its sentences, and the events of receipts.
func KannelCodes() []mfa.Code {
	return table(
		line{kannelAuth, classC, ofCarrier, "username, password or this machine's address not accepted"},
		line{kannelNotRoutable, classC, ofCountry, "no link takes this number"},
		line{kannelDenied, classS, ofMessage, "denied by white- or black-list"},
		line{kannelTemporary, classR, ofCarrier, "not taken now, try again later"},
		line{kannelUndelivered, classS, ofMessage, "reported as not delivered"},
		line{kannelRejected, classS, ofMessage, "rejected by the message centre"},
	)
}

// kannelRefusals are the sentences that smsbox begins its refusals with. It has no other way to tell wrong credentials
// from a number that no link takes: both are 403.
var kannelRefusals = []struct {
	status         int
	sentence, code string
}{
	{http.StatusForbidden, "Authorization failed", kannelAuth},
	{http.StatusForbidden, "Not routable", kannelNotRoutable},
	{http.StatusBadRequest, "Number(s) has/have been denied", kannelDenied},
	{http.StatusServiceUnavailable, "Temporal failure", kannelTemporary},
}

// Send implements mfa.Channel. Kannel gives no id: its receipts are known by what we write into their address.
func (k *Kannel) Send(ctx context.Context, m mfa.Message) (mfa.Sent, error) {
	text, err := k.text(m)
	if err != nil {
		return mfa.Sent{}, err
	}
	query := k.credentials()
	query.Set("to", m.To.Reveal())
	query.Set("text", text)
	query.Set("charset", "UTF-8")
	query.Set("coding", "0")
	if !gsm7.Fits(text) {
		query.Set("coding", "2")
	}
	query.Set("validity", strconv.Itoa(validity(m.ValidFor, time.Minute, time.Minute, 24*time.Hour)))
	query.Set("dlr-mask", strconv.Itoa(kannelDelivered|kannelFailed|kannelAcceptedBySMSC|kannelRejectedBySMSC))
	query.Set("dlr-url", k.receiptURL(m.DeliveryID))
	for name, v := range map[string]string{"from": k.account.From, "smsc": k.account.SMSC} {
		if v != "" {
			query.Set(name, v)
		}
	}
	if k.account.Priority > 0 {
		query.Set("priority", strconv.Itoa(k.account.Priority))
	}
	answer, err := k.call(ctx, query)
	if err != nil {
		return mfa.Sent{}, err
	}
	return k.read(answer)
}

func (k *Kannel) credentials() url.Values {
	return url.Values{"username": {k.account.Username}, "password": {k.account.Password}}
}

func (k *Kannel) call(ctx context.Context, query url.Values) (mfa.Answer, error) {
	req, err := http.NewRequest(http.MethodGet, k.cfg.BaseURL+"?"+query.Encode(), nil)
	if err != nil {
		return mfa.Answer{}, notMade()
	}
	return mfa.Call(ctx, k.httpClient, req)
}

// read tells from an answer whether the message was taken: the digit before the colon decides.
func (k *Kannel) read(a mfa.Answer) (mfa.Sent, error) {
	switch {
	case a.Status == http.StatusAccepted && bytes.HasPrefix(a.Body, []byte("0:")):
		return mfa.Sent{}, nil
	case a.Status == http.StatusAccepted && bytes.HasPrefix(a.Body, []byte("3:")):
		// Taken, and never given back: it must not be sent a second time.
		k.cfg.Log.Warn("kannel queued a passcode: its link to the message centre is down")
		return mfa.Sent{}, nil
	}
	for _, r := range kannelRefusals {
		if a.Status == r.status && bytes.HasPrefix(a.Body, []byte(r.sentence)) {
			return mfa.Sent{}, k.refused(r.code)
		}
	}
	return mfa.Sent{}, notInTheBook(a)
}

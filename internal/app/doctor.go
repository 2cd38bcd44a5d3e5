package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
)

// Finding is one thing that the doctor looked at, FindingStatus how it stands.
type (
	Finding       = mfa.Finding
	FindingStatus = mfa.FindingStatus
)

// The statuses of findings.
const (
	FindingOK      = mfa.FindingOK
	FindingWarning = mfa.FindingWarning
	FindingFailed  = mfa.FindingFailed
)

// doctorCall bounds each call the doctor makes.
const doctorCall = 10 * time.Second

// Doctor looks at everything that makes passcodes not arrive, as far as it can be seen without sending one, and says what to
// do. It changes nothing at a carrier. tell hears of each finding as it is made.
func (b *Base) Doctor(ctx context.Context, tell func(Finding)) error {
	pages, issuer, err := b.pages()
	if err != nil {
		return err
	}
	// Nobody calls back while the doctor looks: the running server hears the webhooks.
	carriers, err := b.carriers(pages, issuer, func() listener { return deaf{} })
	if err != nil {
		return err
	}
	d := doctor{Base: b, tell: b.discreetly(tell), httpClient: &http.Client{Timeout: doctorCall, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
	d.configuration()
	d.database(ctx)
	reachable := d.server(ctx)
	if carriers.meta != nil {
		d.whatsApp(ctx)
		if reachable {
			d.webhook(ctx)
		}
	}
	for _, name := range b.config.SMS.Carriers {
		for _, f := range carriers.sms[name].Check(ctx) {
			f.Name = "sms " + f.Name
			d.tell(f)
		}
		if reachable {
			d.callback(ctx, name)
		}
	}
	d.fallback()
	d.circuits(ctx)
	return nil
}

// discreetly hears findings without our secrets and whole numbers, which a carrier may have quoted.
func (b *Base) discreetly(tell func(Finding)) func(Finding) {
	return func(f Finding) {
		f.Detail, f.Advice = b.discreet(f.Detail), b.discreet(f.Advice)
		tell(f)
	}
}

// doctor is one visit.
type doctor struct {
	*Base
	tell       func(Finding)
	httpClient *http.Client
}

func (d doctor) ok(name, format string, args ...any) {
	d.tell(Finding{Name: name, Status: FindingOK, Detail: fmt.Sprintf(format, args...)})
}

func (d doctor) warn(name, detail, advice string) {
	d.tell(Finding{Name: name, Status: FindingWarning, Detail: detail, Advice: advice})
}

func (d doctor) fail(name, detail, advice string) {
	d.tell(Finding{Name: name, Status: FindingFailed, Detail: detail, Advice: advice})
}

func (d doctor) configuration() {
	warnings := slices.DeleteFunc(d.config.Warnings(), func(w string) bool { return strings.HasPrefix(w, "sms.carriers ") }) // fallback says it
	for _, w := range warnings {
		what, advice, _ := strings.Cut(w, "; ")
		d.warn("configuration", what, advice)
	}
	if len(warnings) == 0 {
		d.ok("configuration", "nothing to remark")
	}
}

// database also compares the clocks: a node that is early or late takes deadlines early or late.
func (d doctor) database(ctx context.Context) {
	if err := d.store.Ping(ctx); err != nil {
		d.fail("database", "it does not answer", "see database.* in the configuration, and the database's own log")
		return
	}
	offset, err := d.store.ClockOffset(ctx, func() time.Time { return d.clock.Now() })
	switch {
	case err != nil:
		d.fail("clock", "the database's time cannot be read", "see the database's own log")
	case offset.Abs() > maxDrift:
		d.fail("clock", fmt.Sprintf("this machine and the database are %s apart", offset.Round(time.Millisecond)), "let both follow NTP")
	default:
		d.ok("database", "answers, and its clock agrees to %s", max(offset.Abs().Round(time.Millisecond), time.Millisecond))
	}
}

// server asks our own public address, the way a carrier and a browser come in, and compares its clock with ours.
func (d doctor) server(ctx context.Context) bool {
	const name = "public address"
	resp, body, err := d.call(ctx, http.MethodGet, d.config.Issuer+"/.well-known/openid-configuration", nil, nil)
	var discovery struct {
		Issuer string `json:"issuer"`
	}
	switch {
	case err != nil:
		d.fail(name, fmt.Sprintf("%s does not answer from here: %s", d.config.Issuer, plainCause(err)),
			"start `parola serve`, and let the proxy, DNS and certificate of this address lead to it; carriers come in the same way")
		return false
	case resp.StatusCode != http.StatusOK:
		d.fail(name, fmt.Sprintf("%s answers %d", d.config.Issuer, resp.StatusCode), "the address must lead to `parola serve`: look at the proxy")
		return false
	case json.Unmarshal([]byte(body), &discovery) != nil || discovery.Issuer != d.config.Issuer:
		d.fail(name, fmt.Sprintf("what answers at %s is another server, or one with another issuer", d.config.Issuer),
			"let the address lead to `parola serve` with this configuration")
		return false
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil && at.Sub(d.clock.Now()).Abs() > 5*time.Second {
		d.warn("clock", fmt.Sprintf("the server's clock is %s from this machine's", at.Sub(d.clock.Now()).Abs().Round(time.Second)), "let both follow NTP")
	}
	d.ok(name, "%s answers", d.config.Issuer)
	return true
}

// wanted is what the configuration needs of the account with Meta.
func (b *Base) wanted() (whatsapp.Wanted, error) {
	languages, err := b.languages()
	return whatsapp.Wanted{Template: b.config.WhatsApp.Template, Languages: languages, TTL: b.config.MFA.TemplateTTL,
		PasscodeLife: b.config.MFA.PasscodeLife, BindIdentity: b.config.MFA.BindIdentity, CallbackURL: b.config.Issuer + whatsAppPath}, err
}

// TemplateStatus compares the template at Meta with what the configuration needs.
func (b *Base) TemplateStatus(ctx context.Context, tell func(Finding)) error {
	m, err := b.manager(nil)
	if err != nil {
		return err
	}
	wanted, err := b.wanted()
	if err != nil {
		return err
	}
	tell = b.discreetly(tell)
	for _, f := range m.CheckTemplates(ctx, wanted) {
		tell(f)
	}
	return nil
}

func (d doctor) whatsApp(ctx context.Context) {
	const name = "whatsapp: account"
	m, err := d.manager(nil)
	if err != nil {
		what, advice, _ := strings.Cut(err.Error(), ": ")
		d.fail(name, "nothing at Meta can be looked at: "+what, advice)
		return
	}
	wanted, err := d.wanted()
	if err != nil {
		d.fail(name, err.Error(), "mend the configuration: `parola config check`")
		return
	}
	for _, f := range m.Check(ctx, wanted) {
		d.tell(f)
	}
}

// unknownStatus is a webhook about a message that was never sent: whoever takes it does nothing.
const unknownStatus = `{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":{` +
	`"messaging_product":"whatsapp","statuses":[{"id":"wamid.parola-doctor","status":"sent","timestamp":"1"}]}}]}]}`

// webhook is a signed round trip to our own URL, and one that must be turned away.
func (d doctor) webhook(ctx context.Context) {
	const name = "whatsapp: webhook round trip"
	address := d.config.Issuer + whatsAppPath
	mac := hmac.New(sha256.New, []byte(d.config.WhatsApp.AppSecret.Reveal()))
	mac.Write([]byte(unknownStatus))
	signed := http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "Content-Type": {"application/json"}}
	resp, _, err := d.call(ctx, http.MethodPost, address, strings.NewReader(unknownStatus), signed)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.fail(name, "a signed webhook was not taken: "+answered(resp, err),
			"the running server must have this configuration's whatsapp.app_secret (restart it after a change), and the proxy must pass bodies on as they are")
		return
	}
	signed.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	resp, _, err = d.call(ctx, http.MethodPost, address, strings.NewReader(unknownStatus), signed)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		d.fail(name, "a webhook with a wrong signature was not refused: "+answered(resp, err),
			"something before the server answers in its place: look at the proxy")
		return
	}
	query := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"parola-doctor"}, "hub.verify_token": {d.config.WhatsApp.VerifyToken.Reveal()}}
	resp, body, err := d.call(ctx, http.MethodGet, address+"?"+query.Encode(), nil, nil)
	if err != nil || resp.StatusCode != http.StatusOK || body != "parola-doctor" {
		d.fail(name, "the handshake was not answered: "+answered(resp, err), "the running server must have this configuration's whatsapp.verify_token (restart it after a change)")
		return
	}
	d.ok(name, "signed webhooks and the handshake are taken, wrong signatures refused")
}

// callback sees whether the callback URL of a carrier leads here: without its signature it is turned away, by us.
func (d doctor) callback(ctx context.Context, carrier string) {
	name := "sms " + carrier + ": way back"
	resp, _, err := d.call(ctx, http.MethodPost, d.config.Issuer+smsPath+carrier, strings.NewReader("x=1"),
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	turnedAway := err == nil && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusBadRequest}, resp.StatusCode)
	if !turnedAway {
		d.fail(name, "it does not lead to the running server: "+answered(resp, err), "the running server must have this configuration's sms.carriers (restart it after a change)")
		return
	}
	d.ok(name, "%s leads to the server", d.config.Issuer+smsPath+carrier)
}

// fallback says whether an SMS can follow at all, in every country that is served.
func (d doctor) fallback() {
	const name = "fallback"
	c := d.config
	switch {
	case len(c.SMS.Carriers) == 0:
		d.fail(name, "there is no SMS carrier: whoever WhatsApp does not reach cannot sign in", "set sms.carriers and the account with one: docs/sms-carriers.md")
		return
	case c.WhatsApp.Enabled && c.MFA.Fallback == mfa.FallbackDeny:
		d.warn(name, "mfa.fallback is deny: no SMS follows", "set it to allow, and let clients that must not have SMS say so themselves")
		return
	case c.WhatsApp.Enabled && c.MFA.Fallback == mfa.FallbackAsk:
		d.warn(name, "mfa.fallback is ask: an SMS follows only when the person taps the button", "set it to allow unless you want that")
		return
	}
	var without []string
	for _, country := range c.MFA.Countries {
		if carriers, named := c.SMS.Routes[country]; named && len(carriers) == 0 {
			without = append(without, country)
		}
	}
	if len(without) > 0 {
		d.fail(name, "sms.routes leaves no carrier for "+strings.Join(without, ", "), "name one, or take the country out of sms.routes")
		return
	}
	d.ok(name, "an SMS follows by %s when WhatsApp does not deliver within %s", strings.Join(c.SMS.Carriers, ", then "), c.MFA.TemplateTTL+5*time.Second)
}

func (d doctor) circuits(ctx context.Context) {
	const name = "circuits"
	open, err := d.Circuits(ctx)
	if err != nil {
		d.fail(name, "they cannot be read", "see the database's own log")
		return
	}
	for _, c := range open {
		advice := "the next message after its rest probes it"
		if c.State == "held" {
			advice = "when the cause is mended: parola circuit close " + c.Name
		}
		d.warn(name, fmt.Sprintf("%s is %s since %s: %s", c.Name, c.State, c.OpenedAt.UTC().Format(time.RFC3339), c.Reason), advice)
	}
	if len(open) == 0 {
		d.ok(name, "all closed")
	}
}

// call makes one call and reads the beginning of its answer.
func (d doctor) call(ctx context.Context, method, address string, body io.Reader, header http.Header) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, "", err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := d.httpClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	_, err = io.Copy(&text, io.LimitReader(resp.Body, 64<<10))
	return resp, text.String(), err
}

func answered(resp *http.Response, err error) string {
	if err != nil {
		return plainCause(err)
	}
	return fmt.Sprintf("answered %d", resp.StatusCode)
}

// plainCause leaves out the address that net/http puts before the cause: it may hold a token.
func plainCause(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

// deaf listens to nobody.
type deaf struct{}

func (deaf) Receive(context.Context, []mfa.Report) error { return errors.New("nobody listens") }
func (deaf) Hear(context.Context, []mfa.Bulletin) error  { return errors.New("nobody listens") }
func (deaf) TemplateUsable(string) bool                  { return true }

// CallbackRejected implements listener.
func (deaf) CallbackRejected(context.Context, storage.Channel, string) {}

package whatsapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parola-id/parola/mfa"
)

// tokenSoon is how long before its end a token is warned of.
const tokenSoon = 30 * 24 * time.Hour

// defaultExpiry is how long Meta keeps the copy button of a template that names no expiry.
const defaultExpiry = 10 * time.Minute

// Wanted is what the installation needs of its account.
type Wanted struct {
	Template  string
	Languages []string
	// TTL is the template's message_send_ttl_seconds, on which the deadline for SMS is built.
	TTL time.Duration
	// PasscodeLife is what the footer of the template should say.
	PasscodeLife time.Duration
	// BindIdentity says that phones are bound to their WhatsApp account.
	BindIdentity bool
	// CallbackURL is our webhook's.
	CallbackURL string
}

// Check goes through everything at Meta that keeps passcodes from arriving. What follows from an earlier failure is left
// out: without a good token nothing else can be known.
func (m *Manager) Check(ctx context.Context, w Wanted) []mfa.Finding {
	token, findings := m.checkToken(ctx)
	if failed(findings) {
		return findings
	}
	for _, check := range []func() []mfa.Finding{
		func() []mfa.Finding { return m.checkNumber(ctx) },
		func() []mfa.Finding { return m.CheckTemplates(ctx, w) },
		func() []mfa.Finding { return m.checkSubscription(ctx, cmp.Or(m.cfg.AppID, token.AppID), w.CallbackURL) },
		func() []mfa.Finding { return m.checkHealth(ctx) },
		func() []mfa.Finding { return m.checkIdentity(ctx, w.BindIdentity) },
	} {
		findings = append(findings, check()...)
	}
	return findings
}

func failed(fs []mfa.Finding) bool {
	return slices.ContainsFunc(fs, func(f mfa.Finding) bool { return f.Status == mfa.FindingFailed })
}

// looked collects what is found of one thing.
type looked struct {
	name     string
	findings []mfa.Finding
}

func (l *looked) fail(detail, advice string) {
	l.findings = append(l.findings, mfa.Finding{Name: l.name, Status: mfa.FindingFailed, Detail: detail, Advice: advice})
}

func (l *looked) warn(detail, advice string) {
	l.findings = append(l.findings, mfa.Finding{Name: l.name, Status: mfa.FindingWarning, Detail: detail, Advice: advice})
}

// refused is a call that did not give what was asked for.
func (l *looked) refused(err error) []mfa.Finding {
	var g *GraphError
	if errors.As(err, &g) {
		l.fail(fmt.Sprintf("Meta refused with code %d: %s", g.Code, g.Message), cmp.Or(g.Advice, "look the code up in docs/carrier-codes.md"))
	} else {
		l.fail(err.Error(), "this machine must reach whatsapp.base_url, by https and without a proxy that changes answers")
	}
	return l.findings
}

// ok returns what was found, or that all is well.
func (l *looked) ok(detail string) []mfa.Finding {
	if len(l.findings) == 0 {
		return []mfa.Finding{{Name: l.name, Status: mfa.FindingOK, Detail: detail}}
	}
	return l.findings
}

func (m *Manager) checkToken(ctx context.Context) (Token, []mfa.Finding) {
	l := looked{name: "whatsapp: access token"}
	t, err := m.DebugToken(ctx)
	if err != nil {
		return t, l.refused(err)
	}
	if !t.Valid {
		l.fail("Meta says that it is not valid", adviceToken)
	}
	if missing := t.missing(); len(missing) > 0 {
		l.fail("it lacks "+strings.Join(missing, " and "), advicePermission)
	}
	until := "never"
	if !t.ExpiresAt.IsZero() {
		until = t.ExpiresAt.Format(time.DateOnly)
		switch left := t.ExpiresAt.Sub(m.cfg.Clock.Now()); {
		case left <= 0:
			l.fail("it ended on "+until, adviceToken)
		case left < tokenSoon:
			l.warn("it ends on "+until, adviceToken)
		}
	}
	if m.cfg.AppID != "" && t.AppID != m.cfg.AppID {
		l.fail("it belongs to another app", "make the token for the app whose webhooks are ours")
	}
	return t, l.ok("valid, ends: " + until)
}

func (m *Manager) checkNumber(ctx context.Context) []mfa.Finding {
	version := looked{name: "whatsapp: Graph API version"}
	l := looked{name: "whatsapp: business number"}
	n, answered, err := m.number(ctx)
	if err != nil {
		return l.refused(err)
	}
	if answered != "" && answered != m.cfg.Version {
		version.warn("Meta answered with "+word(answered)+" instead of "+m.cfg.Version, "this version has ended: set whatsapp.version to a current one")
	}
	if n.Status != "CONNECTED" {
		l.fail("its status is "+cmp.Or(word(n.Status), "unknown"),
			"register it: `parola whatsapp number register`; when it is flagged, restricted or banned, see WhatsApp Manager, Account quality")
	}
	switch n.Quality {
	case "RED", "YELLOW":
		l.warn("its quality is "+n.Quality, "people block or report its messages: see WhatsApp Manager, Phone numbers; at RED Meta may restrict it")
	}
	switch n.NameStatus {
	case "DECLINED", "EXPIRED", "NONE", "PENDING_REVIEW":
		l.warn("its display name is "+n.NameStatus, "people see the bare number until the name is approved: see WhatsApp Manager, Phone numbers")
	}
	if n.MessagingLimit == "TIER_250" {
		l.warn("only 250 people can be written to in 24 hours", "verify the business in Business Settings to lift the limit")
	}
	return append(version.ok(m.cfg.Version), l.ok(strings.Join([]string{word(n.Status), "quality " + word(n.Quality), word(n.MessagingLimit)}, ", "))...)
}

func (m *Manager) CheckTemplates(ctx context.Context, w Wanted) []mfa.Finding {
	templates, err := m.Templates(ctx, w.Template)
	if err != nil {
		l := looked{name: "whatsapp: template"}
		return l.refused(err)
	}
	var findings []mfa.Finding
	for _, lang := range w.Languages {
		l := looked{name: "whatsapp: template in " + lang}
		at := slices.IndexFunc(templates, func(t Template) bool { return t.Language == lang })
		if at < 0 {
			l.fail("there is none", "create it: `parola whatsapp template create`; until then people get another language, or take "+lang+" out of whatsapp.languages")
			findings = append(findings, l.findings...)
			continue
		}
		l.template(templates[at], w)
		findings = append(findings, l.ok(fmt.Sprintf("%s, %d s to deliver", templates[at].Status, templates[at].TTLSeconds))...)
	}
	return findings
}

func (l *looked) template(t Template, w Wanted) {
	if t.Category != categoryAuthentication {
		l.fail("its category is "+word(t.Category), "Meta changed it or it was made otherwise: appeal in WhatsApp Manager, or create one under another name")
	}
	if t.Status != statusApproved {
		detail := "its status is " + word(t.Status)
		if t.RejectedReason != "" {
			detail += " (" + word(t.RejectedReason) + ")"
		}
		l.fail(detail, "only an approved one can be sent: see WhatsApp Manager, Message templates")
	}
	switch ttl := time.Duration(t.TTLSeconds) * time.Second; {
	case t.TTLSeconds <= 0 || ttl > w.TTL:
		l.fail(fmt.Sprintf("Meta may deliver it for %s, but the SMS goes out after %s: a late copy would follow it", forHowLong(t.TTLSeconds), w.TTL),
			"change the template's message_send_ttl_seconds, or mfa.template_ttl, so that both are the same")
	case ttl < w.TTL:
		l.warn(fmt.Sprintf("Meta drops it after %s, but the SMS waits for %s", ttl, w.TTL), "set mfa.template_ttl to the same")
	}
	said := time.Duration(t.ExpiryMinutes) * time.Minute
	switch {
	case t.ExpiryMinutes > 0 && said != w.PasscodeLife:
		l.warn(fmt.Sprintf("it says that the code expires after %s, but it lives %s", said, w.PasscodeLife), "make mfa.passcode_life and the template's expiry the same")
	case t.ExpiryMinutes == 0 && w.PasscodeLife > defaultExpiry:
		l.warn(fmt.Sprintf("its button stops copying after %s, but a code lives %s", defaultExpiry, w.PasscodeLife), "give the template an expiry")
	}
	if !t.SecurityRecommendation {
		l.warn("it does not say that the code must not be shared", "create it with the security recommendation")
	}
	if t.Quality == "RED" || t.Quality == "YELLOW" {
		l.warn("its quality is "+t.Quality, "people block or report it: Meta pauses templates of low quality")
	}
}

func forHowLong(seconds int) string {
	if seconds <= 0 {
		return "up to 30 days"
	}
	return (time.Duration(seconds) * time.Second).String()
}

func (m *Manager) checkSubscription(ctx context.Context, appID, callbackURL string) []mfa.Finding {
	l := looked{name: "whatsapp: webhook subscription"}
	subscriptions, err := m.Subscriptions(ctx)
	if err != nil {
		return l.refused(err)
	}
	at := slices.IndexFunc(subscriptions, func(s Subscription) bool { return s.AppID == appID })
	if at < 0 {
		l.fail("our app does not get the account's webhooks", "subscribe it: `parola whatsapp webhook subscribe`")
	} else if u := subscriptions[at].CallbackURL; u != "" && callbackURL != "" && u != callbackURL {
		l.fail("the account's webhooks go to another URL than "+callbackURL, "subscribe again: `parola whatsapp webhook subscribe`")
	}
	return l.ok("our app gets them")
}

func (m *Manager) checkHealth(ctx context.Context) []mfa.Finding {
	l := looked{name: "whatsapp: health"}
	h, err := m.Health(ctx, "")
	if err != nil {
		return l.refused(err)
	}
	for _, e := range h.Entities {
		name := strings.ToLower(strings.ReplaceAll(word(e.Type), "_", " "))
		for _, broken := range e.Errors {
			l.fail(fmt.Sprintf("%s: code %d, %s", name, broken.Code, broken.Description), broken.Solution)
		}
		if e.CanSend == "LIMITED" {
			l.warn(name+" is limited: "+strings.Join(e.AdditionalInfo, " "), "see WhatsApp Manager")
		}
	}
	if h.CanSend == "BLOCKED" && !failed(l.findings) {
		l.fail("sending is blocked", "see WhatsApp Manager, Account quality")
	}
	return l.ok(cmp.Or(word(h.CanSend), "not told"))
}

func (m *Manager) checkIdentity(ctx context.Context, wanted bool) []mfa.Finding {
	l := looked{name: "whatsapp: identity check"}
	if !wanted {
		return nil
	}
	on, err := m.IdentityCheck(ctx)
	if err != nil {
		return l.refused(err)
	}
	if !on {
		l.fail("it is off at Meta, so that no phone can be bound", "turn it on: `parola whatsapp number identity-check on`, or set mfa.bind_identity to false")
	}
	return l.ok("on")
}

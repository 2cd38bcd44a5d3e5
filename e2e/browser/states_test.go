package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/parola-id/parola/templates"
)

// state is a page of the second factor that a login comes to only when something goes wrong, or for a moment.
type state struct {
	name string
	page interface {
		Render(io.Writer, *templates.Templates, templates.View) error
	}
}

// states are all of them. They are rendered and not walked to: what the walk of TestPagesAreAccessible meets is a few of
// them, and in two languages.
func states() []state {
	client := templates.Client{Name: "Consorzio delle Botteghe"}
	at := func(s templates.PasscodeStatus, change ...func(*templates.Passcode)) templates.Passcode {
		s.PhoneEnding = "47"
		p := templates.Passcode{Client: client, Length: 6, Status: s, ExpiresIn: 4 * time.Minute,
			VerifyURL: "/verify", SMSURL: "/sms", ResendURL: "/again", StartAgainURL: "/again", RefreshURL: "/", EndedURL: "/"}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	failed := func(e templates.PasscodeError) func(*templates.Passcode) {
		return func(p *templates.Passcode) { p.Error, p.TriesLeft, p.RetryIn = e, 2, 90*time.Second }
	}
	const never = templates.Never
	onWhatsApp := templates.PasscodeStatus{WhatsApp: true, SMSIn: 12 * time.Second, SMSOfferIn: 18 * time.Second, ResendIn: 30 * time.Second}
	bySMS := templates.PasscodeStatus{WhatsApp: true, SMS: true, SMSIn: never, SMSOfferIn: never, ResendIn: 30 * time.Second}
	stage := func(s templates.PasscodeStatus, at templates.Stage) templates.PasscodeStatus {
		s.Stage = at
		return s
	}
	atOnce := stage(bySMS, templates.StageSMSSending)
	atOnce.WhatsApp, atOnce.WhatsAppSkipped = false, true
	notTaken := stage(bySMS, templates.StageSMSSent)
	notTaken.WhatsAppRefused = true
	nothingLeft := stage(bySMS, templates.StageNotArriving)
	nothingLeft.ResendIn = never
	refused := stage(onWhatsApp, templates.StageSMSRefused)
	refused.SMSIn, refused.SMSOfferIn = never, never
	return []state{
		{"sending", at(stage(onWhatsApp, templates.StageSending))},
		{"on its way", at(stage(onWhatsApp, templates.StageOnItsWay))},
		{"delivered", at(stage(onWhatsApp, templates.StageDelivered))},
		{"SMS soon", at(stage(onWhatsApp, templates.StageSMSSoon))},
		{"SMS at once", at(atOnce)},
		{"SMS after WhatsApp refused", at(notTaken)},
		{"SMS sent", at(stage(bySMS, templates.StageSMSSent))},
		{"SMS delivered", at(stage(bySMS, templates.StageSMSDelivered))},
		{"SMS uncertain", at(stage(bySMS, templates.StageUnknown))},
		{"SMS refused", at(refused)},
		{"not arriving", at(stage(bySMS, templates.StageNotArriving))},
		{"nothing left", at(nothingLeft)},
		{"wrong", at(stage(onWhatsApp, templates.StageDelivered), failed(templates.PasscodeWrong))},
		{"resend refused", at(stage(onWhatsApp, templates.StageOnItsWay), failed(templates.PasscodeResendRefused))},
		{"SMS refused when asked for", at(refused, failed(templates.PasscodeSMSRefused))},
		{"not requested", templates.PasscodeEnded{Client: client, Reason: templates.PasscodeNotRequested, StartAgainURL: "/again"}},
		{"barred", templates.PasscodeEnded{Client: client, Reason: templates.PasscodeBarred, ReturnURL: "/leave"}},
		{"disabled", templates.PasscodeEnded{Client: client, Reason: templates.PasscodeDisabled, ReturnURL: "/leave"}},
		{"refused", templates.PasscodeEnded{Client: client, Reason: templates.PasscodeRefused, ReturnURL: "/leave"}},
		{"carriers down", templates.ChannelsDown{Client: client, RetryURL: "/again"}},
		{"no phone", templates.NoPhone{Client: client, ReturnURL: "/leave"}},
		{"too many codes", templates.Error{Kind: templates.ErrorTooManyCodes, RetryIn: 20 * time.Minute, RetryURL: "/"}},
		{"password", templates.Password{Action: "/login", Client: client, Error: templates.PasswordThrottled, RetryIn: 2 * time.Hour}},
		{"consent", templates.Consent{Action: "/consent", Client: client, RedirectHost: "a-rather-long-name.shop.example", Lasts: 30 * 24 * time.Hour,
			Scopes: []string{"openid", "profile", "email", "phone", "address", "offline_access", "orders:read"}}},
	}
}

// measured are the languages in which every state is measured with all rules, one of each direction of writing, and in
// which colours. What the others differ in is how long their words are: of them, those with the longest are tried for what
// leaves its place.
var measured = map[string]string{"en": "light", "ar": "dark", "de": "", "fr": "", "hi": ""}

func TestStatesOfASecondFactorAreAccessible(t *testing.T) {
	t.Parallel()
	pages, err := templates.New(templates.Config{Brand: templates.Brand{Name: "Parola"}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/static/", pages.Static())
	all := states()
	mux.HandleFunc("GET /pages/{language}/{state}", func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(all, func(s state) bool { return s.name == r.PathValue("state") })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", templates.ContentSecurityPolicy())
		view := templates.View{Language: r.PathValue("language"), CSRF: "token", Request: "request", Person: "ada.lovelace", NotYouURL: "/notyou"}
		if err := all[i].page.Render(w, pages, view); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	axe := axeCore(t)
	for language, scheme := range measured {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := &walk{language: language, axe: axe}
			b := newTab(t).withPatience(2 * patience)
			b.do(chromedp.EmulateViewport(320, 844), inColours(scheme))
			for _, s := range all {
				b.open(server.URL + "/pages/" + language + "/" + s.name)
				w.fits(b, s.name)
				if scheme == "" {
					continue
				}
				for _, violation := range w.measure(b, everyRule) {
					t.Errorf("%s, %s: %s", s.name, scheme, violation)
				}
			}
		})
	}
}

// fits looks for what has to be scrolled sideways at the narrowest that WCAG 2.2 asks for (1.4.10), and for words that
// leave their place.
func (w *walk) fits(b *tab, name string) {
	b.t.Helper()
	found := run[[]string](b, `[...document.querySelectorAll("html, h1, button, .steps li")].
		filter(e => e.scrollWidth > e.clientWidth && e.getClientRects().length).map(e => e.localName + " " + e.textContent.trim().slice(0, 80))`)
	if len(found) > 0 {
		b.t.Errorf("%s: too wide: %q", name, found)
	}
	keepPicture(b, fmt.Sprintf("state-%s-%s", name, w.language))
}

func inColours(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return chromedp.Void{}, err
	}
}

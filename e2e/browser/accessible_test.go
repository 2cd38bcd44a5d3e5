package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/parola-id/parola/e2e/harness"
)

// TestPagesAreAccessible walks through every page there is and measures each, on a phone and on a desk, light and dark,
// in a language of each direction of writing, against WCAG 2.2 A and AA.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	s := open(t, "mfa: {template_ttl: 5s, offer_sms_after: 1s, resend_after: 1s, tries: 2, circuit_failures: 1000}")
	axe := axeCore(t)
	for _, language := range []string{"en", "ar"} {
		w := &walk{site: s, words: words(t, language), language: language, axe: axe}
		for _, part := range []struct {
			name string
			walk func(*walk, *testing.T)
		}{{"login", (*walk).login}, {"ways it fails", (*walk).failures}, {"session", (*walk).session}, {"errors", (*walk).errors}} {
			t.Run(language+" "+part.name, func(t *testing.T) {
				t.Parallel()
				part.walk(w, t)
			})
		}
	}
	t.Run("the application and the phone", func(t *testing.T) {
		t.Parallel()
		(&walk{site: s, words: words(t, "en"), language: "en", axe: axe}).examples(t)
	})
}

// walk goes through pages in one language.
type walk struct {
	*site
	language string
	words    map[string]string
	axe      string
}

func (w *walk) tab(t *testing.T) *tab {
	b := newTab(t).withPatience(2 * patience)
	_, err := chromedp.Call(b.ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": w.language}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *walk) begin(b *tab, url string, who harness.Person) *tab {
	b.open(url).fill("username", who.Username).fill("password", who.Password)
	return b.press(w.words["layout.continue"]).until(w.words["passcode.title"])
}

func (w *walk) enter(b *tab, passcode string) *tab {
	return b.fill("passcode", passcode).press(w.words["layout.continue"])
}

func (w *walk) login(t *testing.T) {
	who := w.person(t)
	b := w.tab(t).open(w.partner.Begin().URL)
	w.look(b, "password")
	b.fill("username", who.Username).fill("password", "wrong").press(w.words["layout.continue"])
	w.look(b, "password-wrong")
	who.Phone.Switch(`"whatsapp_late_seconds":4`)
	b.fill("password", who.Password).press(w.words["layout.continue"]).until(w.words["passcode.title"])
	w.look(b, "passcode-on-its-way")
	passcode := who.Phone.Passcode("whatsapp", patience)
	b.until(w.words["step.delivered.done"])
	w.look(b, "passcode-delivered")
	w.enter(b, wrong(who))
	w.look(b, "passcode-wrong")
	w.enter(b, passcode).until(w.words["consent.allow"])
	w.look(b, "consent")
	b.press(w.words["consent.deny"]).until(w.words["interstitial.title"])
	w.look(b, "interstitial")
}

func (w *walk) failures(t *testing.T) {
	who := w.person(t)
	b := w.tab(t)
	who.Phone.Switch(`"phone_off":true`)
	w.begin(b, w.first.Begin().URL, who)
	b.until(w.words["step.sms.done"])
	w.look(b, "passcode-by-sms")
	passcode := who.Phone.Passcode("sms", patience)
	other := "111111"
	if passcode == other {
		other = "222222"
	}
	w.enter(b, other)
	w.enter(b, other).until(w.words["ended.exhausted.title"])
	w.look(b, "exhausted")

	nobody := w.person(t)
	nobody.Phone.Switch(`"no_whatsapp":"refused","sms_fails":"30008"`)
	w.begin(b, w.partner.Begin("prompt", "login").URL, nobody)
	b.until(w.words["step.sms.missed"])
	w.look(b, "passcode-not-arriving")

	dario := w.Person("dario")
	b.open(w.first.Begin("prompt", "login").URL).fill("username", dario.Username).fill("password", dario.Password)
	b.press(w.words["layout.continue"]).until(w.words["no_phone.title"])
	w.look(b, "no-phone")
}

func (w *walk) session(t *testing.T) {
	who := w.person(t)
	if w.language == "en" {
		who = w.longNamed(t)
	}
	b := w.tab(t)
	w.begin(b, w.first.Begin().URL, who)
	w.look(b, "passcode-long-name")
	w.enter(b, who.Phone.Passcode("whatsapp", patience)).until("Back at the client")
	b.open(w.partner.Begin("prompt", "login").URL)
	w.look(b, "password-again")
	if shape := run[string](b, `getComputedStyle(document.querySelector(".visually-hidden")).clipPath`); shape != "inset(50%)" {
		t.Error("the name that is there for password managers can be seen")
	}
	b.open(w.partner.Begin("prompt", "select_account").URL)
	w.look(b, "select-account")
	b.open(w.Facts.Issuer + "/logout")
	w.look(b, "logout")
	b.press(w.words["logout.sign_out"]).until(w.words["signed_out.title"])
	w.look(b, "signed-out")
}

func (w *walk) errors(t *testing.T) {
	b := w.tab(t)
	for name, path := range map[string]string{
		"home":               "/",
		"error-not-found":    "/no/such/page",
		"error-client":       "/authorize?client_id=nobody&response_type=code",
		"error-redirect-uri": "/authorize?client_id=first&response_type=code&redirect_uri=https://evil.example/cb",
		"error-expired":      "/login?r=0123456789abcdefghjkmnpqrs",
	} {
		b.open(w.Facts.Issuer + path)
		w.look(b, name)
	}
}

func (w *walk) examples(t *testing.T) {
	who := w.Person("carla")
	b := w.tab(t)
	b.open(w.Facts.WebAppURL)
	w.look(b, "webapp-welcome")
	who.Phone.Switch(`"no_whatsapp":"refused"`)
	w.begin(b, w.Facts.WebAppURL+"/login", who).until(w.words["step.sms.done"])
	w.enter(b, who.Phone.Passcode("sms", patience)).until("Hello, Carla Souza")
	b.press("Refresh the tokens").until("rotated")
	w.look(b, "webapp-account")
	for name, path := range map[string]string{"payments": "/payments", "balance": "/balance", "userinfo": "/userinfo"} {
		b.open(w.Facts.WebAppURL + path)
		w.look(b, "webapp-"+name)
	}
	b.open(w.Facts.WebAppURL + "/callback?error=access_denied&state=x")
	w.look(b, "webapp-problem")
	b.open(w.Facts.HandsetURL + "/?phone=%2B5511961234567").until("Carla")
	w.look(b, "handset")
}

// look measures the page as it is now, and keeps its picture when PAROLA_SCREENSHOTS names a directory.
func (w *walk) look(b *tab, name string) {
	b.t.Helper()
	for _, width := range []int64{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(chromedp.EmulateViewport(width, 844), inColours(scheme))
			as := fmt.Sprintf("%s-%s-%d-%s", name, w.language, width, scheme)
			// All rules once for each width and each scheme; what depends on both, in every combination.
			rules := everyRule
			if (width == 390) != (scheme == "light") {
				rules = rulesOfStyle
			}
			for _, violation := range w.measure(b, rules) {
				b.t.Errorf("%s: %s", as, violation)
			}
			if wide := run[int64](b, `document.documentElement.scrollWidth`); wide > width {
				b.t.Errorf("%s: the page is %d wide and has to be scrolled sideways", as, wide)
			}
			keepPicture(b, as)
		}
	}
	b.do(chromedp.EmulateViewport(390, 844))
}

// What axe is asked to run.
const (
	everyRule    = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]`
	rulesOfStyle = `{type: "rule", values: ["color-contrast", "target-size"]}`
)

// measure runs axe in the page.
func (w *walk) measure(b *tab, rules string) []string {
	b.t.Helper()
	if !run[bool](b, `typeof axe === "object"`) {
		run[bool](b, w.axe+`; true`)
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run(document, {
			runOnly: `+rules+`, resultTypes: ["violations"], preload: false
		}).then(r => r.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; ")))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("run axe: %v", err)
	}
	return found
}

func keepPicture(b *tab, name string) {
	b.t.Helper()
	dir := os.Getenv("PAROLA_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func axeCore(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(harness.NodeModules(t, "e2e/browser"), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// words are the sentences of a language, with what varies cut off.
func words(t *testing.T, language string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../templates/locales/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Messages map[string]any }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for key, message := range file.Messages {
		if text, ok := message.(string); ok {
			before, _, _ := strings.Cut(text, "{")
			all[key] = strings.TrimSpace(before)
		}
	}
	return all
}

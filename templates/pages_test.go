package templates

import (
	"bytes"
	"errors"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"
)

func render(t testing.TB, tmpl *Templates, s sample, lang string) string {
	t.Helper()
	s.view.Language = lang
	var b bytes.Buffer
	if err := s.page.Render(&b, tmpl, s.view); err != nil {
		t.Fatalf("%s in %s: %v", s.name, lang, err)
	}
	return b.String()
}

// parse reads a page as a browser would.
func parse(t testing.TB, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// elements are all elements of a document with one of the names; all of them when none is given.
func elements(doc *html.Node, names ...string) []*html.Node {
	var found []*html.Node
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if len(names) == 0 {
			found = append(found, n)
		}
		for _, name := range names {
			if n.Data == name {
				found = append(found, n)
			}
		}
	}
	return found
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, name string) string {
	v, _ := attr(n, name)
	return v
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func everyPage(t *testing.T, check func(t *testing.T, s sample, page string)) {
	tmpl := newTemplates(t)
	for _, lang := range tmpl.Languages() {
		for _, s := range samples() {
			t.Run(lang+"/"+s.name, func(t *testing.T) { check(t, s, render(t, tmpl, s, lang)) })
		}
	}
}

func TestEveryPageIsWholeInEveryLanguage(t *testing.T) {
	everyPage(t, func(t *testing.T, s sample, page string) {
		for _, fault := range []string{"ZgotmplZ", "%!", "<no value>", "{", "}"} {
			// The pattern of the passcode is the one place where braces belong.
			if strings.Contains(regexp.MustCompile(`pattern="[^"]*"`).ReplaceAllString(page, ""), fault) {
				t.Errorf("page contains %q", fault)
			}
		}
		doc := parse(t, page)
		if root := elements(doc, "html")[0]; value(root, "lang") == "" || value(root, "dir") == "" {
			t.Errorf("html element says lang %q, dir %q", value(root, "lang"), value(root, "dir"))
		}
		if h := elements(doc, "h1"); len(h) != 1 || textOf(h[0]) == "" {
			t.Errorf("want one filled h1, got %d", len(h))
		}
		if title := textOf(elements(doc, "title")[0]); !strings.HasSuffix(title, " · Parola") {
			t.Errorf("title is %q", title)
		}
		if s.view.CorrelationID != "" && !strings.Contains(page, s.view.CorrelationID) {
			t.Error("page does not show the correlation id")
		}
	})
}

func TestWEB03_NoPageHasInlineScriptStyleOrHandler(t *testing.T) {
	everyPage(t, func(t *testing.T, _ sample, page string) {
		for _, n := range elements(parse(t, page)) {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s> has attribute %s", n.Data, a.Key)
				}
				if strings.HasPrefix(strings.TrimSpace(strings.ToLower(a.Val)), "javascript:") {
					t.Errorf("<%s> has a script in %s", n.Data, a.Key)
				}
			}
			switch n.Data {
			case "style", "base", "iframe", "object":
				t.Errorf("page has a <%s>", n.Data)
			case "script":
				if n.FirstChild != nil || !strings.HasPrefix(value(n, "src"), "/static/") {
					t.Errorf("script is not a file of ours: src %q", value(n, "src"))
				}
			case "link":
				if !strings.HasPrefix(value(n, "href"), "/static/") {
					t.Errorf("link to %q", value(n, "href"))
				}
			case "img":
				src := value(n, "src")
				if _, ok := attr(n, "alt"); !ok || !strings.HasPrefix(src, "/static/") && src != onePixel {
					t.Errorf("image %q without alt or from elsewhere", value(n, "src"))
				}
			}
		}
	})
}

func TestWEB01_EveryFormOfOursCarriesTheTokenAndTheRequest(t *testing.T) {
	everyPage(t, func(t *testing.T, s sample, page string) {
		if _, ok := s.page.(FormPost); ok {
			return // goes to the client, which must not see our token
		}
		for _, form := range elements(parse(t, page), "form") {
			if value(form, "method") != "post" || !strings.HasPrefix(value(form, "action"), "/") {
				t.Errorf("form is %s %q", value(form, "method"), value(form, "action"))
			}
			fields := map[string]string{}
			for _, in := range elements(form, "input") {
				fields[value(in, "name")] = value(in, "value")
			}
			if fields[FieldCSRF] != token || fields[FieldRequest] != "request-ref" {
				t.Errorf("form %q carries %v", value(form, "action"), fields)
			}
			if len(elements(form, "button")) == 0 {
				t.Errorf("form %q has no button", value(form, "action"))
			}
		}
	})
}

func TestFormPostCarriesNothingOfOurs(t *testing.T) {
	page := FormPost{Action: "https://shop.example/cb", Fields: []FormField{{"code", `"><script>`}, {"state", "a b"}}}
	doc := parse(t, render(t, newTemplates(t), sample{page: page, view: knownPerson}, "en"))
	form := elements(doc, "form")
	if len(form) != 1 || value(form[0], "action") != "https://shop.example/cb" {
		t.Fatalf("want one form to the client, got %d", len(form))
	}
	var got []FormField
	for _, in := range elements(form[0], "input") {
		got = append(got, FormField{value(in, "name"), value(in, "value")})
	}
	if len(got) != 2 || got[0] != page.Fields[0] || got[1] != page.Fields[1] {
		t.Errorf("fields are %q, want %q", got, page.Fields)
	}
}

func TestEveryFieldHasALabelAndIDsAreUnique(t *testing.T) {
	everyPage(t, func(t *testing.T, _ sample, page string) {
		doc := parse(t, page)
		ids := map[string]int{}
		for _, n := range elements(doc) {
			if id := value(n, "id"); id != "" {
				ids[id]++
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("id %q is used %d times", id, n)
			}
		}
		labelled := map[string]bool{}
		for _, l := range elements(doc, "label") {
			labelled[value(l, "for")] = true
		}
		for _, in := range elements(doc, "input") {
			if value(in, "type") != "hidden" && value(in, "aria-hidden") != "true" && !labelled[value(in, "id")] {
				t.Errorf("input %q has no label", value(in, "name"))
			}
			for _, id := range strings.Fields(value(in, "aria-describedby")) {
				if ids[id] == 0 {
					t.Errorf("input %q is described by %q, which is not there", value(in, "name"), id)
				}
			}
		}
		for _, b := range elements(doc, "button") {
			if textOf(b) == "" {
				t.Error("a button has no text")
			}
		}
	})
}

func TestWEB09_HostileNamesStayText(t *testing.T) {
	tmpl := newTemplates(t)
	for _, name := range []string{
		`<script>alert(1)</script>`, `" onmouseover="alert(1)`, `</title><img src=x onerror=alert(1)>`,
		"{{.CSRF}}", "\u202Egnp.elif", `<bdi>`, "{client}",
	} {
		client := Client{Name: name, Logo: name}
		view := View{Person: name, NotYouURL: "/x", CSRF: name, Request: name, CorrelationID: name, Brand: Brand{Name: name, Logo: name}}
		pages := []renderer{
			Password{Client: client, Username: name}, Passcode{Client: client, Length: 6, Status: PasscodeStatus{PhoneEnding: name}},
			PasscodeEnded{Client: client}, NoPhone{Client: client, ReturnURL: "/x"}, ChannelsDown{Client: client},
			Consent{Client: client, RedirectHost: name, Scopes: []string{name}}, SelectAccount{Client: client},
			LogoutConfirm{Client: client}, SignedOut{Client: client, ContinueURL: "https://x.example"}, Home{},
			Interstitial{Client: client, RedirectHost: name}, FormPost{Client: client, Fields: []FormField{{name, name}}},
		}
		for _, p := range pages {
			page := render(t, tmpl, sample{page: p, view: view}, "en")
			doc := parse(t, page)
			for _, n := range elements(doc) {
				_, handler := attr(n, "onmouseover")
				if handler || value(n, "src") == "x" || n.Data == "script" && n.FirstChild != nil {
					t.Errorf("%T: the name %q became markup", p, name)
				}
			}
			if _, isHome := p.(Home); !isHome && !strings.Contains(textOf(doc), strings.Join(strings.Fields(name), " ")) {
				t.Errorf("%T: the name %q is not shown", p, name)
			}
		}
	}
}

func TestNamesAreIsolatedFromTheSentence(t *testing.T) {
	page := render(t, newTemplates(t), sample{page: Password{Client: Client{Name: "\u202Eevil"}}}, "en")
	if !strings.Contains(page, "to continue to <bdi>\u202Eevil</bdi>") {
		t.Error("the client's name can turn the sentence about")
	}
}

func TestValidatedURLsWithASchemeOfTheClientsOwnSurvive(t *testing.T) {
	tmpl := newTemplates(t)
	const url = template.URL("com.example.shop:/cb?error=access_denied")
	for name, p := range map[string]renderer{
		"interstitial": Interstitial{Client: shop, ReturnURL: url},
		"form post":    FormPost{Action: url},
		"signed out":   SignedOut{ContinueURL: url},
	} {
		if page := render(t, tmpl, sample{page: p}, "en"); !strings.Contains(page, `"com.example.shop:/cb?error=access_denied"`) {
			t.Errorf("%s: the address is not on the page", name)
		}
	}
}

func TestPlainURLsCannotBeScripts(t *testing.T) {
	page := render(t, newTemplates(t), sample{page: Error{Kind: ErrorUnavailable, RetryURL: "javascript:alert(1)"}}, "en")
	if strings.Contains(page, "javascript:") {
		t.Error("a script address reached the page")
	}
}

func TestPasswordPage(t *testing.T) {
	tmpl := newTemplates(t)
	inputs := func(p Password, v View) map[string]*html.Node {
		found := map[string]*html.Node{}
		for _, in := range elements(parse(t, render(t, tmpl, sample{page: p, view: v}, "en")), "input") {
			found[value(in, "name")] = in
		}
		return found
	}
	t.Run("lets password managers fill both fields", func(t *testing.T) {
		in := inputs(Password{Username: "ada"}, unknownPerson)
		if u := in[FieldUsername]; value(u, "autocomplete") != "username" || value(u, "value") != "ada" {
			t.Errorf("username field: %v", u.Attr)
		}
		if p := in[FieldPassword]; value(p, "autocomplete") != "current-password" || value(p, "type") != "password" || value(p, "value") != "" {
			t.Errorf("password field: %v", p.Attr)
		}
		if _, limited := attr(in[FieldPassword], "maxlength"); limited {
			t.Error("a long password would be cut by the browser (PW-02)")
		}
	})
	t.Run("does not ask again who a known person is", func(t *testing.T) {
		if in := inputs(Password{Username: "somebody.else"}, knownPerson); in[FieldUsername] != nil {
			t.Error("username can be changed")
		}
	})
	t.Run("says how long to wait", func(t *testing.T) {
		page := render(t, tmpl, sample{page: Password{Error: PasswordThrottled, RetryIn: 4*time.Minute - time.Second}}, "en")
		if !strings.Contains(page, "in 4 minutes") {
			t.Error("no waiting time on the page")
		}
	})
}

func TestPW11_ThePageKnowsOneRefusal(t *testing.T) {
	seen := map[string]bool{}
	for e := PasswordNoError; e <= PasswordBusy; e++ {
		key := Password{Error: e}.ErrorKey()
		if seen[key] {
			t.Errorf("two errors share %q", key)
		}
		seen[key] = true
	}
	if len(seen) != 4 {
		t.Errorf("there are %d states, want none, wrong, throttled, busy", len(seen))
	}
}

func TestButtonsCarryTheDecision(t *testing.T) {
	tmpl := newTemplates(t)
	for _, c := range []struct {
		page renderer
		want []string
	}{
		{Consent{Client: shop}, []string{DecisionAllow, DecisionDeny}},
		{SelectAccount{}, []string{DecisionContinue, DecisionOther}},
		{LogoutConfirm{}, []string{DecisionSignOut, DecisionStay}},
	} {
		var got []string
		for _, b := range elements(parse(t, render(t, tmpl, sample{page: c.page}, "en")), "button") {
			if value(b, "name") == FieldDecision {
				got = append(got, value(b, "value"))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%T: decisions %q, want %q", c.page, got, c.want)
		}
	}
}

func TestConsentSaysEachScopeOnce(t *testing.T) {
	page := render(t, newTemplates(t), sample{page: Consent{Client: shop, Scopes: []string{"openid", "orders:read", "openid"}}, view: knownPerson}, "en")
	items := elements(parse(t, page), "li")
	if len(items) != 2 || textOf(items[0]) != "Know that it is you" || textOf(items[1]) != "Use “orders:read”" {
		t.Errorf("scopes are told as %d lines", len(items))
	}
}

func TestTwoLanguagesAtOnceStayApart(t *testing.T) {
	tmpl := newTemplates(t)
	want := map[string]string{"en": "<h1>Sign in</h1>", "it": "<h1>Accedi</h1>"}
	var wg sync.WaitGroup
	for range 4 {
		for lang, heading := range want {
			wg.Go(func() {
				for range 50 {
					var b bytes.Buffer
					if err := (Password{Client: shop}).Render(&b, tmpl, View{Language: lang}); err != nil {
						t.Error(err)
					}
					if !strings.Contains(b.String(), heading) {
						t.Errorf("page in %s has no %s", lang, heading)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestAFailedPageWritesNothing(t *testing.T) {
	var b bytes.Buffer
	if err := (Error{Kind: 99}).Render(&b, newTemplates(t), View{}); err == nil || b.Len() > 0 {
		t.Errorf("error %v, %d bytes written", err, b.Len())
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailedWriteIsReported(t *testing.T) {
	var w io.Writer = brokenWriter{}
	if err := (Home{}).Render(w, newTemplates(t), View{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"a brand without a name":          {},
		"a colour that is none":           {Brand: Brand{Name: "A", Colour: "red"}},
		"a base path without its slash":   {Brand: Brand{Name: "A"}, BasePath: "auth"},
		"a base path with a slash behind": {Brand: Brand{Name: "A"}, BasePath: "/auth/"},
		"the root as a base path":         {Brand: Brand{Name: "A"}, BasePath: "/"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("New accepts %s", name)
		}
	}
}

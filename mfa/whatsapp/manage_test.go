package whatsapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/whatsapp"
)

const businessNumber = "+12025550100"

func newManager(t *testing.T, url string, change ...func(*whatsapp.ManagerConfig)) *whatsapp.Manager {
	t.Helper()
	cfg := whatsapp.ManagerConfig{
		BaseURL: url, Version: "v25.0", AccessToken: "access token", AccountID: "102000000000001", PhoneNumberID: "106000000000001",
		Clock: clock.NewManual(time.Date(2026, 9, 14, 12, 0, 0, 0, time.UTC)),
	}
	for _, f := range change {
		f(&cfg)
	}
	m, err := whatsapp.NewManager(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// person does something at the handset, for its side of the wire.
func person(t *testing.T, method, url, body string) []byte {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		t.Fatalf("%s %s: %d %s %v", method, url, resp.StatusCode, answer, err)
	}
	return answer
}

func spec(languages ...string) whatsapp.TemplateSpec {
	return whatsapp.TemplateSpec{Name: "another_code", Languages: languages, TTL: 30 * time.Second, ExpiryMinutes: 5, SecurityRecommendation: true}
}

func refusal(t *testing.T, err error, code, subcode int) *whatsapp.GraphError {
	t.Helper()
	var g *whatsapp.GraphError
	if !errors.As(err, &g) || g.Code != code || g.Subcode != subcode || g.Message == "" {
		t.Fatalf("got %v, want code %d/%d", err, code, subcode)
	}
	return g
}

func TestATemplateIsCreatedInEachLanguage(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	s := spec("en_US", "it", "pt_BR")
	s.ButtonText = "Copy"
	made, err := m.CreateTemplate(t.Context(), s)
	if err != nil || len(made) != 3 {
		t.Fatalf("made %+v, %v", made, err)
	}
	for _, c := range made {
		if c.ID == "" || c.Status != "PENDING" || c.Category != "AUTHENTICATION" || c.Refused != nil {
			t.Errorf("made %+v", c)
		}
	}
	s.Languages = []string{"it", "de"}
	made, err = m.CreateTemplate(t.Context(), s)
	if err != nil || len(made) != 2 || made[0].Refused == nil || made[0].Refused.Subcode != 2388024 || made[0].Refused.Advice == "" || made[1].ID == "" {
		t.Errorf("one that exists takes the others along: %+v, %v", made, err)
	}
	found, err := m.Templates(t.Context(), "another_code")
	if err != nil || len(found) != 4 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if got := found[2]; got.Language != "pt_BR" || got.TTLSeconds != 30 || got.ExpiryMinutes != 5 || !got.SecurityRecommendation || got.Button != "Copy" || got.ID == "" {
		t.Errorf("found %+v", got)
	}
}

func TestATemplateIsChangedInAllLanguagesAtOnce(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	s := spec("en_US", "hi")
	for _, ttl := range []time.Duration{30 * time.Second, time.Minute} {
		s.TTL = ttl
		made, err := m.UpsertTemplate(t.Context(), s)
		if err != nil || len(made) != 2 || made[1].Language != "hi" || made[1].Status != "APPROVED" {
			t.Fatalf("made %+v, %v", made, err)
		}
	}
	found, err := m.Templates(t.Context(), "another_code")
	if err != nil || len(found) != 2 || found[1].TTLSeconds != 60 {
		t.Errorf("found %+v, %v", found, err)
	}
	s.ButtonText = "Copy"
	if _, err := m.UpsertTemplate(t.Context(), s); err == nil {
		t.Error("a button's text was taken")
	}
}

func TestATemplateThatMetaWouldRefuseIsNotSentThere(t *testing.T) {
	m := newManager(t, "http://127.0.0.1:1")
	for name, change := range map[string]func(*whatsapp.TemplateSpec){
		"name":          func(s *whatsapp.TemplateSpec) { s.Name = "Login Code" },
		"no language":   func(s *whatsapp.TemplateSpec) { s.Languages = nil },
		"language":      func(s *whatsapp.TemplateSpec) { s.Languages = []string{"pt-BR"} },
		"short TTL":     func(s *whatsapp.TemplateSpec) { s.TTL = 29 * time.Second },
		"long TTL":      func(s *whatsapp.TemplateSpec) { s.TTL = 16 * time.Minute },
		"split seconds": func(s *whatsapp.TemplateSpec) { s.TTL = 30500 * time.Millisecond },
		"expiry":        func(s *whatsapp.TemplateSpec) { s.ExpiryMinutes = 91 },
		"button":        func(s *whatsapp.TemplateSpec) { s.ButtonText = strings.Repeat("è", 26) },
	} {
		s := spec("it")
		change(&s)
		for _, create := range []func(context.Context, whatsapp.TemplateSpec) ([]whatsapp.Creation, error){m.CreateTemplate, m.UpsertTemplate} {
			if _, err := create(t.Context(), s); err == nil || strings.Contains(err.Error(), "Graph API") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTemplatesAreReadToTheLastPageAndNotByTheAnswersURL(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		asked = append(asked, after)
		answer := map[string]any{"data": []map[string]string{{"name": "a", "language": "en-US"}, {"name": "a_b"}}}
		if after != "3" {
			next := map[string]string{"": "1", "1": "2", "2": "3"}[after]
			answer["paging"] = map[string]any{"cursors": map[string]string{"after": next}, "next": "http://127.0.0.1:1/elsewhere?access_token=x"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	got, err := newManager(t, server.URL).Templates(t.Context(), "a")
	if err != nil || len(got) != 4 || got[0].Language != "en_US" || !slices.Equal(asked, []string{"", "1", "2", "3"}) {
		t.Errorf("asked %q, got %+v, %v", asked, got, err)
	}
}

func TestAListWithoutEndIsLeft(t *testing.T) {
	var calls int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		_, _ = io.WriteString(w, `{"data":[],"paging":{"cursors":{"after":"x"},"next":"x"}}`)
	}))
	defer server.Close()
	if _, err := newManager(t, server.URL).Templates(t.Context(), ""); err != nil || calls > 100 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestAPreviewShowsMetasTexts(t *testing.T) {
	_, url := newHandset(t)
	got, err := newManager(t, url).Preview(t.Context(), spec("en_US", "it"))
	if err != nil || len(got) != 2 || got[1].Language != "it" || !strings.Contains(got[1].Body, "codice") || !strings.Contains(got[1].Footer, "5") || got[1].Button == "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestANumberIsVerifiedAndRegistered(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	person(t, http.MethodPatch, url+"/meta", `{"registered":false,"verified":false}`)
	refusal(t, m.Register(t.Context(), "204816", ""), 133006, 0)
	if err := m.RequestCode(t.Context(), "sms", "en_US"); err != nil {
		t.Fatal(err)
	}
	var inbox []struct{ Passcode string }
	if err := json.Unmarshal(person(t, http.MethodGet, url+"/inbox?phone=%2B"+businessNumber[1:], ""), &inbox); err != nil || len(inbox) != 1 {
		t.Fatalf("inbox %v, %v", inbox, err)
	}
	code := inbox[0].Passcode
	if g := refusal(t, m.VerifyCode(t.Context(), strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)), 136025, 0); g.Advice == "" {
		t.Error("no advice for a wrong code")
	}
	if err := m.VerifyCode(t.Context(), code[:3]+"-"+code[3:]); err != nil {
		t.Fatal(err)
	}
	if g := refusal(t, m.RequestCode(t.Context(), "voice", "it"), 136024, 0); !strings.Contains(g.Error(), "register") {
		t.Errorf("no advice: %v", g)
	}
	if err := m.Register(t.Context(), "204816", "DE"); err != nil {
		t.Fatal(err)
	}
	n, err := m.Number(t.Context())
	if err != nil || n.Status != "CONNECTED" || n.Quality != "GREEN" || n.VerificationStatus != "VERIFIED" || n.MessagingLimit != "TIER_2K" || n.DisplayNumber == "" || n.NameStatus != "APPROVED" {
		t.Errorf("number %+v, %v", n, err)
	}
}

func TestAPINHasSixDigitsAndMustBeTheRightOne(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	for _, pin := range []string{"", "12345", "1234567", "12345x", "１２３４５６"} {
		if err := m.SetPIN(t.Context(), pin); err == nil || strings.Contains(err.Error(), "Meta") {
			t.Errorf("PIN %q: %v", pin, err)
		}
		if err := m.Register(t.Context(), pin, ""); err == nil || strings.Contains(err.Error(), "Meta") {
			t.Errorf("PIN %q: %v", pin, err)
		}
	}
	if err := m.SetPIN(t.Context(), "204816"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if g := refusal(t, m.Register(t.Context(), "111111", ""), 133005, 0); !strings.Contains(g.Advice, "WhatsApp Manager") {
			t.Errorf("advice %q", g.Advice)
		}
	}
	if g := refusal(t, m.Register(t.Context(), "204816", ""), 133008, 0); !strings.Contains(g.Message, "seconds") || g.Advice == "" {
		t.Errorf("%v", g)
	}
}

func TestTheIdentityCheckIsTurnedOnAndOff(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	for _, on := range []bool{true, false, true} {
		if err := m.SetIdentityCheck(t.Context(), on); err != nil {
			t.Fatal(err)
		}
		if got, err := m.IdentityCheck(t.Context()); err != nil || got != on {
			t.Errorf("set %t, read %t, %v", on, got, err)
		}
	}
}

func TestAnAccountIsSubscribed(t *testing.T) {
	_, url := newHandset(t)
	m := newManager(t, url)
	channel := newChannel(t, channeltest.Env{CarrierURL: url})
	callback := httptest.NewServer(channel.Handler(func(context.Context, []mfa.Report) error { return nil }, unheard(t)))
	defer callback.Close()
	if err := m.Subscribe(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Subscriptions(t.Context()); err != nil || len(got) != 1 || got[0].AppID == "" || got[0].CallbackURL != "" {
		t.Errorf("subscriptions %+v, %v", got, err)
	}
	refusal(t, m.Subscribe(t.Context(), callback.URL, "another token"), 2200, 0)
	if err := m.Subscribe(t.Context(), callback.URL, verifyToken); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Subscriptions(t.Context()); err != nil || len(got) != 1 || got[0].CallbackURL != callback.URL {
		t.Errorf("subscriptions %+v, %v", got, err)
	}
	for _, bad := range []string{"/relative", "ftp://example.com"} {
		if err := m.Subscribe(t.Context(), bad, verifyToken); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if err := m.Subscribe(t.Context(), callback.URL, ""); err == nil {
		t.Error("taken without a verify token")
	}
}

func TestErrorsOfTheManagerTellNoSecret(t *testing.T) {
	secret := func(c *whatsapp.ManagerConfig) { c.AccessToken = "sesame-sesame" }
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	broken.Config.ErrorLog = nil
	defer broken.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, r.URL.String()+r.Header.Get("Authorization"))
	}))
	defer page.Close()
	away := httptest.NewServer(nil)
	away.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer elsewhere.Close()
	for name, url := range map[string]string{"broken": broken.URL, "page": page.URL, "away": away.URL, "elsewhere": elsewhere.URL} {
		_, err := newManager(t, url, secret).DebugToken(t.Context())
		if err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range newManager(t, url, secret).Check(t.Context(), whatsapp.Wanted{}) {
			if f.Status != mfa.FindingFailed || strings.Contains(f.Detail+f.Advice, "sesame") || f.Advice == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

func TestNewManagerRefusesAnIncompleteConfiguration(t *testing.T) {
	for name, change := range map[string]func(*whatsapp.ManagerConfig){
		"version":         func(c *whatsapp.ManagerConfig) { c.Version = "25" },
		"token":           func(c *whatsapp.ManagerConfig) { c.AccessToken = "" },
		"account":         func(c *whatsapp.ManagerConfig) { c.AccountID = "../1" },
		"phone number id": func(c *whatsapp.ManagerConfig) { c.PhoneNumberID = "" },
		"app":             func(c *whatsapp.ManagerConfig) { c.AppID = "my app" },
	} {
		cfg := whatsapp.ManagerConfig{Version: "v25.0", AccessToken: "t", AccountID: "102000000000001", PhoneNumberID: "106000000000001"}
		if _, err := whatsapp.NewManager(cfg); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if _, err := whatsapp.NewManager(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func wanted() whatsapp.Wanted {
	return whatsapp.Wanted{
		Template: "parola_login_code", Languages: []string{"en_US", "it"}, TTL: 30 * time.Second, PasscodeLife: 5 * time.Minute,
		CallbackURL: "https://login.example.com/webhooks/whatsapp",
	}
}

func TestCheckFindsWhatKeepsPasscodesFromArriving(t *testing.T) {
	const (
		meta      = "/meta"
		templates = "/meta/templates"
	)
	for _, tt := range []struct {
		name, path, change string
		wanted             func(*whatsapp.Wanted)
		finding            string
		status             mfa.FindingStatus
		says               string
	}{
		{"a token that ended", meta, `{"token":"expired"}`, nil, "access token", mfa.FindingFailed, "190"},
		{"a token without messaging", meta, `{"token":"no_messaging"}`, nil, "access token", mfa.FindingFailed, "whatsapp_business_messaging"},
		{"a token without management", meta, `{"token":"no_management"}`, nil, "access token", mfa.FindingFailed, "whatsapp_business_management"},
		{"a token that ends soon", meta, `{"token_expires_at":1790000000}`, nil, "access token", mfa.FindingWarning, "2026-09-21"},
		{"a token that should have ended", meta, `{"token_expires_at":1700000000}`, nil, "access token", mfa.FindingFailed, "2023"},
		{"a number that is not registered", meta, `{"registered":false}`, nil, "business number", mfa.FindingFailed, "DISCONNECTED"},
		{"a number that is banned", meta, `{"number_status":"BANNED"}`, nil, "business number", mfa.FindingFailed, "BANNED"},
		{"bad quality", meta, `{"quality":"RED"}`, nil, "business number", mfa.FindingWarning, "RED"},
		{"a name that is declined", meta, `{"name_status":"DECLINED"}`, nil, "business number", mfa.FindingWarning, "DECLINED"},
		{"a low limit", meta, `{"limit":"TIER_250"}`, nil, "business number", mfa.FindingWarning, "250"},
		{"a version that ended", meta, `{"api_version":"v26.0"}`, nil, "Graph API version", mfa.FindingWarning, "v26.0"},
		{"a template that is missing", "", "", func(w *whatsapp.Wanted) { w.Languages = append(w.Languages, "hi") }, "template in hi", mfa.FindingFailed, "none"},
		{"a template that is paused", templates, `{"language":"it","status":"PAUSED"}`, nil, "template in it", mfa.FindingFailed, "PAUSED"},
		{"a template of another category", templates, `{"language":"it","category":"UTILITY"}`, nil, "template in it", mfa.FindingFailed, "UTILITY"},
		{"a template that lives too long", templates, `{"language":"it","ttl_seconds":600}`, nil, "template in it", mfa.FindingFailed, "10m0s"},
		{"a template without a time to live", templates, `{"language":"it","ttl_seconds":0}`, nil, "template in it", mfa.FindingFailed, "30 days"},
		{"a template that lives too short", "", "", func(w *whatsapp.Wanted) { w.TTL = time.Minute }, "template in it", mfa.FindingWarning, "30s"},
		{"an expiry that is not ours", templates, `{"language":"it","expiry_minutes":10}`, nil, "template in it", mfa.FindingWarning, "10m0s"},
		{"a button that ends before the passcode", templates, `{"language":"it","expiry_minutes":0}`, func(w *whatsapp.Wanted) { w.PasscodeLife = 15 * time.Minute }, "template in it", mfa.FindingWarning, "15m0s"},
		{"a template that does not warn", templates, `{"language":"it","security_recommendation":false}`, nil, "template in it", mfa.FindingWarning, "shared"},
		{"a template of low quality", templates, `{"language":"it","quality":"YELLOW"}`, nil, "template in it", mfa.FindingWarning, "YELLOW"},
		{"no subscription", meta, `{"subscribed":false}`, nil, "webhook subscription", mfa.FindingFailed, "webhooks"},
		{"webhooks that go elsewhere", meta, `{"callback_url":"https://elsewhere.example.com/"}`, nil, "webhook subscription", mfa.FindingFailed, "login.example.com"},
		{"an account that is blocked", meta, `{"health":"BLOCKED"}`, nil, "health", mfa.FindingFailed, "141006"},
		{"an account that is limited", meta, `{"health":"LIMITED"}`, nil, "health", mfa.FindingWarning, "waba"},
		{"identities that are not told", "", "", func(w *whatsapp.Wanted) { w.BindIdentity = true }, "identity check", mfa.FindingFailed, "off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, url := newHandset(t)
			if tt.path != "" {
				person(t, http.MethodPatch, url+tt.path, tt.change)
			}
			w := wanted()
			if tt.wanted != nil {
				tt.wanted(&w)
			}
			var found bool
			for _, f := range newManager(t, url).Check(t.Context(), w) {
				switch {
				case f.Status == mfa.FindingOK:
				case f.Name == "whatsapp: "+tt.finding && f.Status == tt.status && strings.Contains(f.Detail, tt.says) && f.Advice != "":
					found = true
				// A TTL or a life that is wanted otherwise shows in every language.
				case tt.wanted == nil || !strings.HasPrefix(f.Name, "whatsapp: template in "):
					t.Errorf("also %+v", f)
				}
			}
			if !found {
				t.Errorf("not found among %+v", newManager(t, url).Check(t.Context(), w))
			}
		})
	}
}

func TestCheckOfAGoodDay(t *testing.T) {
	_, url := newHandset(t)
	w := wanted()
	w.BindIdentity = true
	person(t, http.MethodPatch, url+"/meta", `{"identity_check":true,"callback_url":"`+w.CallbackURL+`"}`)
	findings := newManager(t, url, func(c *whatsapp.ManagerConfig) { c.AppID = "634000000000001" }).Check(t.Context(), w)
	var names []string
	for _, f := range findings {
		names = append(names, f.Name)
		if f.Status != mfa.FindingOK || f.Advice != "" || f.Detail == "" || strings.Contains(f.Detail, businessNumber[1:]) {
			t.Errorf("%+v", f)
		}
	}
	if len(findings) != 8 {
		t.Errorf("looked at %q", names)
	}
}

// What Meta emits of an account is understood from end to end: none of its webhooks is unreadable or without an effect.
func TestEveryWebhookOfTheAccountIsUnderstood(t *testing.T) {
	h, url := newHandset(t)
	var names []string
	if err := json.Unmarshal(person(t, http.MethodGet, url+"/emit", ""), &names); err != nil {
		t.Fatal(err)
	}
	cfg := config(channeltest.Env{CarrierURL: url})
	cfg.AccountID, cfg.DisplayNumber = "102000000000001", businessNumber
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan []mfa.Bulletin, 1)
	answered := make(chan int, 1)
	handler := c.Handler(func(context.Context, []mfa.Report) error { return nil }, func(_ context.Context, bs []mfa.Bulletin) error {
		heard <- bs
		return nil
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		answered <- rec.Code
	}))
	defer server.Close()
	if err := h.SetWebhookURL(server.URL); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		person(t, http.MethodPost, url+"/emit", `{"payload":"`+name+`"}`)
		select {
		case status := <-answered:
			if status != http.StatusOK {
				t.Errorf("%s: answered %d", name, status)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s did not come", name)
		}
		select {
		case bs := <-heard:
			for _, b := range bs {
				short(t, b)
				if b.At.IsZero() != strings.HasPrefix(name, "value-errors") {
					t.Errorf("%s: at %v", name, b.At)
				}
			}
		default:
			if !strings.HasPrefix(name, "system-") {
				t.Errorf("%s: not heard", name)
			}
		}
	}
}

func TestAWarningReachesWhoTappedTheButton(t *testing.T) {
	h, url := newHandset(t)
	cfg := config(channeltest.Env{CarrierURL: url})
	cfg.Languages = []string{"en_US"}
	cfg.WarnText = func(string, string) (string, error) { return "We stopped the sign-in.", nil }
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tapped := make(chan mfa.Report, 1)
	server := httptest.NewServer(c.Handler(func(_ context.Context, rs []mfa.Report) error {
		for _, r := range rs {
			if r.NotRequested {
				tapped <- r
			}
		}
		return nil
	}, unheard(t)))
	defer server.Close()
	if err := h.SetWebhookURL(server.URL); err != nil {
		t.Fatal(err)
	}
	m := channeltest.Message(t)
	sent, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	arrived := func(text string) bool {
		return bytes.Contains(person(t, http.MethodGet, url+"/inbox?phone=%2B"+channeltest.Number[1:], ""), []byte(text))
	}
	until(t, func() bool { return arrived(sent.MessageID) })
	person(t, http.MethodPost, url+"/button", `{"phone":"`+channeltest.Number+`","id":"`+sent.MessageID+`"}`)
	select {
	case r := <-tapped:
		if r.MessageID != sent.MessageID || r.Carrier != whatsapp.Carrier {
			t.Errorf("reported %+v", r)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the tap was not reported")
	}
	if err := c.Warn(t.Context(), mfa.Warning{NoticeID: "notice", To: m.To, Locale: "en", Kind: "not_requested"}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return arrived("We stopped the sign-in.") })
}

func TestAMessageBoundToAnAccountDoesNotReachAnother(t *testing.T) {
	h, url := newHandset(t)
	person(t, http.MethodPatch, url+"/meta", `{"identity_check":true}`)
	cfg := config(channeltest.Env{CarrierURL: url})
	cfg.Languages = []string{"en_US"}
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan mfa.Report, 16)
	server := httptest.NewServer(c.Handler(func(_ context.Context, rs []mfa.Report) error {
		for _, r := range rs {
			reports <- r
		}
		return nil
	}, unheard(t)))
	defer server.Close()
	if err := h.SetWebhookURL(server.URL); err != nil {
		t.Fatal(err)
	}
	next := func(status string) mfa.Report {
		for {
			select {
			case r := <-reports:
				if string(r.Status) == status {
					return r
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("no report of %s", status)
			}
		}
	}
	m := channeltest.Message(t)
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = channeltest.Message(t)
	if m.Identity = next("sent").Identity; m.Identity == "" {
		t.Fatal("no identity was told")
	}
	next("delivered")
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	next("delivered")
	person(t, http.MethodPost, url+"/identity", `{"phone":"`+channeltest.Number+`","id":""}`)
	m.DeliveryID = channeltest.Message(t).DeliveryID
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if r := next("failed"); r.DeliveryID != m.DeliveryID || r.Failure.Class != mfa.ClassAlert || r.Failure.Code != "137000" {
		t.Errorf("reported %+v", r)
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

package templates

import (
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// renderer is what every page is.
type renderer interface {
	Render(io.Writer, *Templates, View) error
}

// sample is a page in one of its states.
type sample struct {
	name string
	page renderer
	view View
}

const token = "csrf-token-value"

var (
	unknownPerson = View{CSRF: token, Request: "request-ref", CorrelationID: "7f3a-91c2"}
	knownPerson   = View{CSRF: token, Request: "request-ref", CorrelationID: "7f3a-91c2", Person: "ada.lovelace", NotYouURL: "/login/not-you"}
	shop          = Client{Name: "Bottega Online"}
)

// samples are all pages in all their states. Every branch of every page file is taken by at least one.
func samples() []sample {
	all := []sample{
		{"password", Password{Action: "/login", Client: shop}, unknownPerson},
		{"password-logo", Password{Action: "/login", Client: Client{Name: "Bottega Online", Logo: onePixel}}, unknownPerson},
		{"password-hint", Password{Action: "/login", Client: shop, Username: "ada.lovelace"}, unknownPerson},
		{"password-wrong", Password{Action: "/login", Client: shop, Username: "ada", Error: PasswordWrong}, unknownPerson},
		{"password-throttled", Password{Action: "/login", Error: PasswordThrottled, RetryIn: 4 * time.Minute}, unknownPerson},
		{"password-busy", Password{Action: "/login", Client: shop, Error: PasswordBusy}, unknownPerson},
		{"password-again", Password{Action: "/login", Client: shop}, knownPerson},
		{"no-phone", NoPhone{Client: shop, ReturnURL: "/login/return"}, knownPerson},
		{"no-phone-no-client", NoPhone{ReturnURL: "/login/return"}, knownPerson},
		{"channels-down", ChannelsDown{Client: shop, RetryURL: "/login/retry"}, knownPerson},
		{"consent", Consent{Action: "/login/consent", Client: shop, RedirectHost: "shop.example", Lasts: 30 * 24 * time.Hour,
			Scopes: []string{"openid", "profile", "email", "phone", "address", "offline_access", "orders:read"}}, knownPerson},
		{"consent-unlimited", Consent{Action: "/login/consent", Client: shop, RedirectHost: "shop.example", Scopes: []string{"openid"}}, knownPerson},
		{"select-account", SelectAccount{Action: "/login/account", Client: shop}, knownPerson},
		{"logout-confirm", LogoutConfirm{Action: "/logout"}, knownPerson},
		{"logout-confirm-client", LogoutConfirm{Action: "/logout", Client: shop}, knownPerson},
		{"signed-out", SignedOut{}, unknownPerson},
		{"signed-out-client", SignedOut{Client: shop, ContinueURL: "https://shop.example/bye"}, unknownPerson},
		{"signed-out-return", SignedOut{ContinueURL: "https://shop.example/bye"}, unknownPerson},
		{"home", Home{}, View{}},
		{"interstitial", Interstitial{Client: shop, RedirectHost: "shop.example", ReturnURL: "com.example.shop:/cb?error=access_denied"}, unknownPerson},
		{"form-post", FormPost{Client: shop, Action: "https://shop.example/cb", Fields: []FormField{{"code", "abc"}, {"iss", "https://id.example"}}}, View{}},
		{"form-post-plain", FormPost{Action: "com.example.shop:/cb"}, View{}},
	}
	for _, e := range passcodeEnds {
		all = append(all, sample{"ended-" + e.name, PasscodeEnded{Client: shop, Reason: e.reason, StartAgainURL: e.startAgain, ReturnURL: e.returnTo}, knownPerson})
	}
	for _, e := range passcodeErrors {
		p := passcodeAt(StageOnItsWay)
		p.Error, p.TriesLeft, p.RetryIn = e.err, 4, 18*time.Second
		all = append(all, sample{"passcode-error-" + e.name, p, knownPerson})
	}
	for _, s := range everyStatus() {
		all = append(all, sample{"passcode-" + s.name, passcodeOf(s.status), knownPerson})
	}
	for _, k := range errorKinds {
		all = append(all, sample{"error-" + k.name, Error{Kind: k.kind, RetryIn: k.retryIn, RetryURL: k.retryURL}, unknownPerson})
	}
	return all
}

var stages = []struct {
	name  string
	stage Stage
}{
	{"sending", StageSending}, {"on-its-way", StageOnItsWay}, {"delivered", StageDelivered}, {"sms-soon", StageSMSSoon},
	{"sms-sending", StageSMSSending}, {"sms-sent", StageSMSSent}, {"sms-delivered", StageSMSDelivered},
	{"not-arriving", StageNotArriving}, {"unknown", StageUnknown}, {"sms-refused", StageSMSRefused},
}

type namedStatus struct {
	name   string
	status PasscodeStatus
}

// statuses are those that a stage alone does not tell.
var statuses = []namedStatus{
	{"sms-at-once", PasscodeStatus{Stage: StageSMSSent, PhoneEnding: "47", SMS: true, WhatsAppSkipped: true, SMSIn: Never, SMSOfferIn: Never, ResendIn: 30 * time.Second}},
	{"refused", PasscodeStatus{Stage: StageSMSSent, PhoneEnding: "47", WhatsApp: true, WhatsAppRefused: true, SMS: true, SMSIn: Never, SMSOfferIn: Never, ResendIn: 30 * time.Second}},
	{"nothing-left", PasscodeStatus{Stage: StageNotArriving, PhoneEnding: "47", WhatsApp: true, SMS: true, SMSIn: Never, SMSOfferIn: Never, ResendIn: Never}},
}

// everyStatus is the status of every stage, and statuses.
func everyStatus() []namedStatus {
	var all []namedStatus
	for _, s := range stages {
		all = append(all, namedStatus{s.name, passcodeAt(s.stage).Status})
	}
	return append(all, statuses...)
}

// passcodeAt is the page as a login meets it at a stage.
func passcodeAt(stage Stage) Passcode {
	s := PasscodeStatus{Stage: stage, PhoneEnding: "47", WhatsApp: true, SMSIn: 12 * time.Second, SMSOfferIn: 18 * time.Second, ResendIn: 30 * time.Second}
	switch stage {
	case StageDelivered:
		s.SMSIn, s.SMSOfferIn, s.WhatsAppDelivered = 52*time.Second, 0, true
	case StageSMSSending, StageSMSSent, StageSMSDelivered:
		s.SMS, s.SMSIn, s.SMSOfferIn = true, Never, Never
	case StageNotArriving, StageUnknown:
		s.SMS, s.SMSIn, s.SMSOfferIn, s.ResendIn = true, Never, Never, 0
	case StageSMSRefused:
		s.SMSIn, s.SMSOfferIn, s.ResendIn = Never, Never, 0
	}
	return passcodeOf(s)
}

// passcodeOf is the page with a status.
func passcodeOf(s PasscodeStatus) Passcode {
	return Passcode{Client: shop, Length: 6, Status: s, ExpiresIn: 4*time.Minute + 32*time.Second,
		VerifyURL: "/login/passcode", SMSURL: "/login/sms", ResendURL: "/login/resend", StartAgainURL: "/login/again",
		RefreshURL: "/login?request=request-ref", EventsURL: "/login/events?request=request-ref",
		EndedURL: "/login?request=request-ref&stream=ended"}
}

var passcodeErrors = []struct {
	name string
	err  PasscodeError
}{
	{"wrong", PasscodeWrong}, {"malformed", PasscodeMalformed}, {"throttled", PasscodeThrottled},
	{"resend-refused", PasscodeResendRefused}, {"sms-refused", PasscodeSMSRefused}, {"busy", PasscodeBusy},
}

var passcodeEnds = []struct {
	name                 string
	reason               PasscodeEnd
	startAgain, returnTo string
}{
	{"expired", PasscodeExpired, "/login/again", ""}, {"exhausted", PasscodeExhausted, "/login/again", ""},
	{"elsewhere", PasscodeElsewhere, "", ""}, {"not-requested", PasscodeNotRequested, "/login/again", ""},
	{"barred", PasscodeBarred, "", "/login/return"}, {"disabled", PasscodeDisabled, "", "/login/return"},
	{"refused", PasscodeRefused, "", "/login/return"},
}

var errorKinds = []struct {
	name     string
	kind     ErrorKind
	retryIn  time.Duration
	retryURL string
}{
	{"bad-request", ErrorBadRequest, 0, ""}, {"unknown-client", ErrorUnknownClient, 0, ""},
	{"bad-redirect-uri", ErrorBadRedirectURI, 0, ""}, {"expired-request", ErrorExpiredRequest, 0, ""},
	{"session-mismatch", ErrorSessionMismatch, 0, ""}, {"forbidden", ErrorForbidden, 0, ""},
	{"not-found", ErrorNotFound, 0, ""}, {"method", ErrorMethod, 0, ""}, {"too-large", ErrorTooLarge, 0, ""},
	{"too-many-requests", ErrorTooManyRequests, 90 * time.Second, ""},
	{"too-many-codes", ErrorTooManyCodes, 20 * time.Minute, "/login?request=request-ref"},
	{"unavailable", ErrorUnavailable, 0, "/login?request=request-ref"}, {"internal", ErrorInternal, 0, ""},
}

func newTemplates(t testing.TB) *Templates {
	t.Helper()
	tmpl, err := New(Config{Brand: Brand{Name: "Parola"}})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

var preview = flag.String("preview", "", "write every page in every language into this `directory`, to be looked at through any file server")

func TestPreview(t *testing.T) {
	if *preview == "" {
		t.Skip("no -preview directory")
	}
	tmpl := newTemplates(t)
	write := func(name string, content []byte) {
		path := filepath.Join(*preview, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range tmpl.static.files {
		rec := httptest.NewRecorder()
		tmpl.Static().ServeHTTP(rec, httptest.NewRequest("GET", "/static/"+name, nil))
		write("static/"+name, rec.Body.Bytes())
	}
	for _, lang := range tmpl.Languages() {
		for _, s := range samples() {
			write(lang+"/"+s.name+".html", []byte(render(t, tmpl, s, lang)))
		}
	}
}

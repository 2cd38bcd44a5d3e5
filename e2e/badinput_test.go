package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/e2e/harness"
)

// probe is one bad request and what must come of it.
type probe struct {
	method, path string
	header       string // "Name: value", several by newline
	body         string
	status       int
	// want is the error code of a JSON answer or of a redirect to the client, or a text on the page.
	want string
}

// xss is typed wherever something can be typed; nowhere may it come back as it is.
const xss = `"'><svg/onload=alert(1)>`

const formHeader = "Content-Type: application/x-www-form-urlencoded"

// inside are words that no answer may hold: they would be ours, not the protocol's.
var inside = []string{"sql", "storage:", "fosite", ".go:", "panic", "goroutine", "runtime error", "github.com/parola-id", "record not found"}

// TestBadInput sends what no honest client sends to every endpoint. Each answer is the protocol's own error, says nothing
// of what is inside, repeats nothing unescaped, redirects nowhere it should not, and carries the security headers.
func TestBadInput(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{})
	provider := in.Run(nil)
	rp := in.RelyingParty(harness.WebClient)
	authorize := func(change ...string) string {
		u, err := url.Parse(rp.Begin(change...).URL)
		if err != nil {
			t.Fatal(err)
		}
		return u.RequestURI()
	}
	basic := "Authorization: Basic " + basicOf(rp.ID, rp.Secret)
	big := "token=" + strings.Repeat("a", 70<<10)
	login := "/login?r=" + strings.Repeat("a", 26)
	none := func(raw string) string { return "/authorize?client_id=" + harness.WebClient + "&redirect_uri=" + raw }

	for group, probes := range map[string]map[string]probe{
		"authorize": {
			"nothing":                       {path: "/authorize", status: 400, want: "Unknown application"},
			"an unknown client":             {path: authorize("client_id", "nobody"), status: 400, want: "Unknown application"},
			"a client of markup":            {path: authorize("client_id", xss), status: 400, want: "Unknown application"},
			"a client of control bytes":     {path: authorize("client_id", "a\x00b\xff"), status: 400, want: "Unknown application"},
			"two clients":                   {path: authorize() + "&client_id=web", status: 400, want: "Unknown application"},
			"a redirect URI of another":     {path: authorize("redirect_uri", "https://evil.example/callback"), status: 400, want: "can’t send you back"},
			"a redirect URI of script":      {path: authorize("redirect_uri", "javascript:alert(1)//127.0.0.1:9/callback"), status: 400, want: "can’t send you back"},
			"a redirect URI with a path on": {path: none("http://127.0.0.1:9/callback/../evil"), status: 400, want: "can’t send you back"},
			"a redirect URI with a query":   {path: none("http://127.0.0.1:9/callback?x=1"), status: 400, want: "can’t send you back"},
			"a redirect URI with a user":    {path: none("http://127.0.0.1:9@evil.example/callback"), status: 400, want: "can’t send you back"},
			"a redirect URI with an escape": {path: none("http://127.0.0.1:9/callbac%256b"), status: 400, want: "can’t send you back"},
			"no redirect URI":               {path: none(""), status: 400, want: "can’t send you back"},
			"two redirect URIs":             {path: authorize() + "&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback", status: 400, want: "can’t send you back"},
			"an escape that is none":        {path: "/authorize?client_id=%zz", status: 400, want: "couldn’t understand"},
			"two states":                    {path: authorize() + "&state=other", status: 303, want: "invalid_request"},
			"a response type unknown":       {path: authorize("response_type", "token"), status: 303, want: "unsupported_response_type"},
			"no response type":              {path: authorize("response_type", ""), status: 303, want: "invalid_request"},
			"no PKCE":                       {path: authorize("code_challenge", "", "code_challenge_method", ""), status: 303, want: "invalid_request"},
			"plain PKCE":                    {path: authorize("code_challenge_method", "plain"), status: 303, want: "invalid_request"},
			"a scope not registered":        {path: authorize("scope", "openid admin"), status: 303, want: "invalid_scope"},
			"a scope of markup":             {path: authorize("scope", "openid "+xss), status: 303, want: "invalid_scope"},
			"prompts that contradict":       {path: authorize("prompt", "none login"), status: 303, want: "invalid_request"},
			"a negative max_age":            {path: authorize("max_age", "-1"), status: 303, want: "invalid_request"},
			"a max_age of words":            {path: authorize("max_age", xss), status: 303, want: "invalid_request"},
			"claims that are no JSON":       {path: authorize("claims", "{"), status: 303, want: "invalid_request"},
			"a response mode unknown":       {path: authorize("response_mode", "web_message"), status: 303, want: "invalid_request"},
			"an id_token_hint of nonsense":  {path: authorize("id_token_hint", "a.b.c"), status: 303, want: "invalid_request"},
			"a request object":              {path: authorize("request", "a.b.c"), status: 303, want: "request_not_supported"},
			"a request object by reference": {path: authorize("request_uri", "http://169.254.169.254/"), status: 303, want: "request_uri_not_supported"},
			"a registration":                {path: authorize("registration", "{}"), status: 303, want: "registration_not_supported"},
			"a parameter too long":          {path: authorize("state", strings.Repeat("s", 5<<10)), status: 303, want: "invalid_request"},
			"too many parameters":           {path: authorize() + manyParameters(), status: 303, want: "invalid_request"},
			"another method":                {method: "PUT", path: authorize(), status: 405, want: "doesn’t work here"},
			"a body of JSON":                {method: "POST", path: "/authorize", header: "Content-Type: application/json", body: `{}`, status: 400, want: "couldn’t understand"},
			"a body of parts":               {method: "POST", path: "/authorize", header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", status: 400, want: "couldn’t understand"},
			"a body too large":              {method: "POST", path: "/authorize", header: formHeader, body: big, status: 413, want: "too much"},
			"resume without a request":      {path: "/authorize/resume", status: 400, want: "couldn’t understand"},
			"resume of nobody's request":    {path: "/authorize/resume?r=" + strings.Repeat("a", 26), status: 410, want: "has expired"},
			"resume by another method":      {method: "POST", path: "/authorize/resume", header: formHeader, status: 405},
		},
		"token": {
			"by GET":                         {path: "/token", status: 405, want: "invalid_request"},
			"nothing":                        {method: "POST", path: "/token", header: formHeader, status: 400, want: "invalid_request"},
			"parameters in the URL":          {method: "POST", path: "/token?grant_type=client_credentials", header: formHeader + "\n" + basic, status: 400, want: "invalid_request"},
			"a body of JSON":                 {method: "POST", path: "/token", header: "Content-Type: application/json", body: `{"grant_type":"client_credentials"}`, status: 400, want: "invalid_request"},
			"a body of parts":                {method: "POST", path: "/token", header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", status: 400, want: "invalid_request"},
			"a body too large":               {method: "POST", path: "/token", header: formHeader, body: big, status: 413, want: "invalid_request"},
			"an escape that is none":         {method: "POST", path: "/token", header: formHeader, body: "grant_type=%zz", status: 400, want: "invalid_request"},
			"a parameter twice":              {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=refresh_token&refresh_token=a&refresh_token=b", status: 400, want: "invalid_request"},
			"a grant type unknown":           {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=password&username=a&password=b", status: 400, want: "unsupported_grant_type"},
			"no client":                      {method: "POST", path: "/token", header: formHeader, body: "grant_type=client_credentials", status: 401, want: "invalid_client"},
			"an unknown client":              {method: "POST", path: "/token", header: formHeader + "\nAuthorization: Basic " + basicOf("nobody", "x"), body: "grant_type=client_credentials", status: 401, want: "invalid_client"},
			"a wrong secret":                 {method: "POST", path: "/token", header: formHeader + "\nAuthorization: Basic " + basicOf(rp.ID, xss), body: "grant_type=client_credentials", status: 401, want: "invalid_client"},
			"a right secret, the wrong way":  {method: "POST", path: "/token", header: formHeader, body: "grant_type=client_credentials&client_id=web&client_secret=" + url.QueryEscape(rp.Secret), status: 401, want: "invalid_client"},
			"a header of nonsense":           {method: "POST", path: "/token", header: formHeader + "\nAuthorization: Basic !!!", body: "grant_type=client_credentials", status: 401, want: "invalid_client"},
			"an assertion of nonsense":       {method: "POST", path: "/token", header: formHeader, body: "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c", status: 401, want: "invalid_client"},
			"an AuthCode of nonsense":        {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=authorization_code&code=" + url.QueryEscape(xss) + "&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback&code_verifier=" + strings.Repeat("v", 43), status: 400, want: "invalid_grant"},
			"no AuthCode":                    {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=authorization_code", status: 400, want: "invalid_grant"},
			"a refresh token of nonsense":    {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=refresh_token&refresh_token=" + url.QueryEscape("a\x00\xff"), status: 400, want: "invalid_request"},
			"a refresh token that is none":   {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=refresh_token&refresh_token=pr_none", status: 400, want: "invalid_grant"},
			"a scope that needs a person":    {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=client_credentials&scope=openid", status: 400, want: "invalid_scope"},
			"a resource that is not granted": {method: "POST", path: "/token", header: formHeader + "\n" + basic, body: "grant_type=client_credentials&scope=email&resource=https%3A%2F%2Fevil.example", status: 400, want: "invalid_target"},
		},
		"userinfo": {
			"without a token":     {path: "/userinfo", status: 401},
			"a token of nonsense": {path: "/userinfo", header: "Authorization: Bearer " + strings.Repeat("x", 40), status: 401, want: "invalid_token"},
			"a token in the URL":  {path: "/userinfo?access_token=x", status: 401},
			"another scheme":      {path: "/userinfo", header: "Authorization: Digest x", status: 401},
			"another method":      {method: "DELETE", path: "/userinfo", status: 405},
			"a JWT unsigned":      {path: "/userinfo", header: "Authorization: Bearer eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJ4In0.", status: 401, want: "invalid_token"},
		},
		"introspect and revoke": {
			"introspect by GET":                 {path: "/introspect?token=x", status: 405, want: "invalid_request"},
			"introspect without a client":       {method: "POST", path: "/introspect", header: formHeader, body: "token=x", status: 401, want: "invalid_client"},
			"introspect without a token":        {method: "POST", path: "/introspect", header: formHeader + "\n" + basic, status: 400, want: "invalid_request"},
			"introspect by bearer":              {method: "POST", path: "/introspect", header: formHeader + "\nAuthorization: Bearer x", body: "token=x", status: 401, want: "invalid_client"},
			"introspect with a body too large":  {method: "POST", path: "/introspect", header: formHeader + "\n" + basic, body: big, status: 413, want: "invalid_request"},
			"introspect with a body of JSON":    {method: "POST", path: "/introspect", header: "Content-Type: application/json\n" + basic, body: "[]", status: 400, want: "invalid_request"},
			"revoke by GET":                     {path: "/revoke?token=x", status: 405, want: "invalid_request"},
			"revoke without a client":           {method: "POST", path: "/revoke", header: formHeader, body: "token=x", status: 401, want: "invalid_client"},
			"revoke without a token":            {method: "POST", path: "/revoke", header: formHeader + "\n" + basic, status: 400, want: "invalid_request"},
			"revoke of a token that is none":    {method: "POST", path: "/revoke", header: formHeader + "\n" + basic, body: "token=" + url.QueryEscape(xss), status: 200},
			"revoke of a token sent two times":  {method: "POST", path: "/revoke", header: formHeader + "\n" + basic, body: "token=x&token=y", status: 400, want: "invalid_request"},
			"introspect of a token that's none": {method: "POST", path: "/introspect", header: formHeader + "\n" + basic, body: "token=" + url.QueryEscape(xss), status: 200},
		},
		"logout": {
			"another method":                       {method: "PUT", path: "/logout", status: 405, want: "doesn’t work here"},
			"an address that nobody registered":    {path: "/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F&client_id=web", status: 200, want: "signed out"},
			"a hint of nonsense":                   {path: "/logout?id_token_hint=a.b.c&post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback", status: 200, want: "signed out"},
			"markup everywhere":                    {path: "/logout?state=" + url.QueryEscape(xss) + "&client_id=" + url.QueryEscape(xss) + "&ui_locales=" + url.QueryEscape(xss), status: 200, want: "signed out"},
			"a parameter twice":                    {path: "/logout?state=a&state=b", status: 400, want: "couldn’t understand"},
			"a body of parts":                      {method: "POST", path: "/logout", header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", status: 400, want: "couldn’t understand"},
			"a confirmation that was never shown":  {method: "POST", path: "/logout", header: formHeader, body: "csrf=x&decision=sign-out", status: 200, want: "signed out"},
			"a body too large for a person's form": {method: "POST", path: "/logout", header: formHeader, body: big, status: 413, want: "too much"},
		},
		"discovery": {
			"the configuration by POST": {method: "POST", path: "/.well-known/openid-configuration", header: formHeader, status: 405},
			"the keys by POST":          {method: "POST", path: "/jwks", header: formHeader, status: 405},
			"a well-known unknown":      {path: "/.well-known/" + url.PathEscape(xss), status: 404, want: "Page not found"},
		},
		"login": {
			"without a request":           {path: "/login", status: 400, want: "couldn’t understand"},
			"two requests":                {path: login + "&r=b", status: 400, want: "couldn’t understand"},
			"a request of markup":         {path: "/login?r=" + url.QueryEscape(xss), status: 400, want: "couldn’t understand"},
			"a request far too long":      {path: "/login?r=" + strings.Repeat("a", 200), status: 400, want: "couldn’t understand"},
			"nobody's request":            {path: login, status: 410, want: "has expired"},
			"nobody's passcode":           {path: "/login/passcode?r=" + strings.Repeat("b", 26), status: 410, want: "has expired"},
			"another method":              {method: "DELETE", path: login, status: 405, want: "doesn’t work here"},
			"SMS by GET":                  {path: "/login/passcode/sms?r=a", status: 405, want: "doesn’t work here"},
			"events by POST":              {method: "POST", path: "/login/passcode/events?r=a", header: formHeader, status: 405, want: "doesn’t work here"},
			"a form of another site":      {method: "POST", path: login, header: formHeader + "\nOrigin: https://evil.example\nSec-Fetch-Site: cross-site", body: "username=a", status: 403, want: "stopped this request"},
			"a form of parts":             {method: "POST", path: login, header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", status: 415, want: "couldn’t understand"},
			"a form too large":            {method: "POST", path: login, header: formHeader, body: big, status: 413, want: "too much"},
			"consent to nobody's request": {method: "POST", path: "/login/consent?r=" + strings.Repeat("c", 26), header: formHeader, body: "decision=allow", status: 410, want: "has expired"},
		},
		"webhooks": {
			"Meta's handshake, wrong word":   {path: "/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token=guess&hub.challenge=" + url.QueryEscape(xss), status: 403},
			"Meta's handshake, no word":      {path: "/webhooks/whatsapp", status: 403},
			"Meta's without a signature":     {method: "POST", path: "/webhooks/whatsapp", header: "Content-Type: application/json", body: `{}`, status: 401},
			"Meta's with a wrong signature":  {method: "POST", path: "/webhooks/whatsapp", header: "Content-Type: application/json\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64), body: `{}`, status: 403},
			"Meta's by another method":       {method: "PUT", path: "/webhooks/whatsapp", status: 405},
			"Twilio's without a signature":   {method: "POST", path: "/webhooks/sms/twilio", header: formHeader, body: "MessageSid=SM1", status: 401},
			"Twilio's with a wrong one":      {method: "POST", path: "/webhooks/sms/twilio", header: formHeader + "\nX-Twilio-Signature: AAAA", body: "MessageSid=SM1", status: 403},
			"Twilio's by GET":                {path: "/webhooks/sms/twilio", status: 405},
			"Twilio's with a body too large": {method: "POST", path: "/webhooks/sms/twilio", header: formHeader + "\nX-Twilio-Signature: AAAA", body: big, status: 413},
			// What Meta signed and nobody can read would come again for seven days: it is taken, and told in the audit log.
			"Meta's of junk, rightly signed": signed(in, `{"object":`, 200),
			"Meta's of another shape":        signed(in, `{"object":"whatsapp_business_account","entry":{"id":1}}`, 200),
			"Meta's of unknown messages":     signed(in, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106000000000001"},"statuses":[{"id":"wamid.`+"x"+`","status":"delivered","timestamp":"1"}]}}]}]}`, 200),
		},
		"paths": {
			"up and out":             {path: "/static/%2e%2e/%2e%2e/go.mod", status: 404},
			"up and out, once more":  {path: "/static/..%2f..%2fgo.mod", status: 404},
			"nowhere":                {path: "/" + url.PathEscape(xss), status: 404, want: "Page not found"},
			"a database":             {path: "/parola.db", status: 404, want: "Page not found"},
			"metrics, in public":     {path: "/metrics", status: 404, want: "Page not found"},
			"debugging, in public":   {path: "/debug/pprof/", status: 404, want: "Page not found"},
			"a directory of statics": {path: "/static/", status: 404},
			"by another method":      {method: "PROPFIND", path: "/nowhere", status: 404, want: "Page not found"},
		},
	} {
		for name, p := range probes {
			t.Run(group+"/"+name, func(t *testing.T) {
				p.hold(t, in.Issuer)
			})
		}
	}
	if strings.Contains(provider.LogText(), `"level":"ERROR"`) {
		t.Errorf("bad input is an error in the log: %s", provider.LogText())
	}
}

// hold sends the probe and holds the answer to everything that must be true of it.
func (p probe) hold(t *testing.T, issuer string) {
	t.Helper()
	resp, body := p.send(t, issuer)
	if resp.StatusCode != p.status {
		t.Errorf("%d, want %d: %.300s", resp.StatusCode, p.status, body)
	}
	holdHeaders(t, resp)
	lower := strings.ToLower(body + resp.Header.Get("WWW-Authenticate") + resp.Header.Get("Location"))
	for _, word := range inside {
		if strings.Contains(lower, word) {
			t.Errorf("the answer tells of what is inside (%q): %.500s", word, body)
		}
	}
	if strings.Contains(body+resp.Header.Get("WWW-Authenticate"), "<svg") {
		t.Errorf("the answer repeats markup as it came: %.500s", body)
	}
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	media := resp.Header.Get("Content-Type")
	switch {
	case p.status == http.StatusSeeOther:
		if location.Host != "127.0.0.1:9" || location.Query().Get("error") != p.want || location.Query().Get("iss") != issuer {
			t.Errorf("redirected to %s, want error %s", location, p.want)
		}
		return
	case location.String() != "":
		t.Errorf("redirected to %s", location)
	case strings.HasPrefix(media, "application/json"):
		var answer struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error != p.want {
			t.Errorf("error %q, want %q: %s", answer.Error, p.want, body)
		}
		if p.status >= 400 && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control is %q", resp.Header.Get("Cache-Control"))
		}
	case machine(p.path) && p.want != "":
		t.Errorf("a machine gets %q: %.300s", media, body)
	case !strings.Contains(body, p.want):
		t.Errorf("the page does not say %q: %.1500s", p.want, body)
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode == http.StatusUnauthorized && machine(p.path) && challenge == "" &&
		strings.Contains(p.header, "Authorization") {
		t.Error("401 without a challenge") // RFC 9110 §15.5.2, RFC 6749 §5.2
	}
	if resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
}

// machine says whether an endpoint speaks JSON.
func machine(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return slices.Contains([]string{"/token", "/introspect", "/revoke", "/userinfo"}, path)
}

func (p probe) send(t *testing.T, issuer string) (*http.Response, string) {
	t.Helper()
	if p.method == "" {
		p.method = http.MethodGet
	}
	req, err := http.NewRequest(p.method, issuer, strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(p.path, "?")
	req.URL.Opaque = "//" + req.URL.Host + path // as it is, without being cleaned on the way
	req.URL.RawQuery = query
	for line := range strings.Lines(p.header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		req.Header.Set(name, value)
	}
	resp, err := stubborn.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// stubborn follows nothing.
var stubborn = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// holdHeaders holds any answer to WEB-03 and WEB-06.
func holdHeaders(t *testing.T, resp *http.Response) {
	t.Helper()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action"} {
		if !strings.Contains(policy, directive) {
			t.Errorf("the policy has no %s: %s", directive, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy allows too much: %s", policy)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, telling := range []string{"Server", "X-Powered-By"} {
		if resp.Header.Get(telling) != "" {
			t.Errorf("the answer says %s: %s", telling, resp.Header.Get(telling))
		}
	}
}

func basicOf(id, secret string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
}

func manyParameters() string {
	var b strings.Builder
	for i := range 100 {
		b.WriteString("&x" + strings.Repeat("y", i) + "=1")
	}
	return b.String()
}

// signed is a webhook of Meta with a right signature.
func signed(in *harness.Installation, body string, status int) probe {
	mac := hmac.New(sha256.New, []byte(in.Config.WhatsApp.AppSecret.Reveal()))
	mac.Write([]byte(body))
	return probe{method: "POST", path: "/webhooks/whatsapp", body: body, status: status,
		header: "Content-Type: application/json\nX-Hub-Signature-256: sha256=" + hex.EncodeToString(mac.Sum(nil))}
}

// TestBadInputOnThePages types what nobody should into the pages of a login that is under way.
func TestBadInputOnThePages(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{})
	in.Run(nil)
	who, rp, b := in.Person("paula"), in.RelyingParty(harness.PartnerClient), in.Browser()
	a := rp.Begin("login_hint", xss, "ui_locales", "en "+xss, "state", xss)
	page := b.Get(a.URL)
	unescaped := func(p *harness.Page) {
		t.Helper()
		if strings.Contains(p.Body, "<svg") {
			t.Errorf("%s repeats markup as it came: %s", p.URL, p.Body)
		}
	}
	unescaped(page)
	for _, name := range []string{xss, strings.Repeat("long", 2000), "a\x00b", "\u202eadmin", "' OR 1=1 --"} {
		wrong := b.Press(page, "Continue", "username", name, "password", xss)
		if wrong.Status != http.StatusForbidden {
			t.Errorf("user name %.20q: %d %s", name, wrong.Status, wrong.Text())
		}
		unescaped(wrong)
	}
	if forged := b.Press(page, "Continue", "csrf", "forged", "username", who.Username, "password", who.Password); forged.Status != http.StatusForbidden || !forged.Says("stopped this request") {
		t.Errorf("a forged form: %d %s", forged.Status, forged.Text())
	}
	if other := in.Browser().Press(page, "Continue", "username", who.Username, "password", who.Password); other.Status != http.StatusForbidden || !other.Says("another browser") {
		t.Errorf("the form in another browser: %d %s", other.Status, other.Text())
	}
	page = b.Press(page, "Continue", "username", who.Username, "password", who.Password)
	page.MustSay(t, "Enter your code")
	for _, passcode := range []string{"", "12345", "1234567", xss, strings.Repeat("1", 5000), "１２３", "12345a", "-12345"} {
		wrong := b.Press(page, "Continue", "passcode", passcode)
		if wrong.Status != http.StatusUnprocessableEntity || !wrong.Says("The code is 6 digits.") {
			t.Errorf("passcode %.20q: %d %s", passcode, wrong.Status, wrong.Text())
		}
		unescaped(wrong)
	}
	// None of these was a try: the right one still works, in the digits of another script too.
	digits := []rune(who.Phone.Passcode("whatsapp", 10e9))
	for i := range digits {
		digits[i] += '٠' - '0'
	}
	page = b.Press(page, "Continue", "passcode", string(digits))
	page.MustSay(t, "Allow Partner Hotel")
	if odd := b.Press(page, "Allow", "decision", xss); odd.Stopped || odd.Status < 400 || odd.Status > 499 {
		t.Errorf("a decision of markup: %v %d", odd.URL, odd.Status)
	} else {
		unescaped(odd)
	}
	rp.AuthCode(t, b.Press(page, "Allow"), a)
}

// TestHugeHeaders are refused by the server before anything reads them, and the issuer is never taken from a request.
func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	in := harness.Install(t, harness.Options{})
	in.Run(nil)
	req, err := http.NewRequest(http.MethodGet, in.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Padding", strings.Repeat("x", 64<<10))
	resp, err := stubborn.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %d", resp.StatusCode)
	}
	req.Header.Del("X-Padding")
	req.Host = "evil.example"
	req.Header.Set("X-Forwarded-Host", "evil.example")
	if resp, err = stubborn.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(body), "evil.example") || !strings.Contains(string(body), in.Issuer) {
		t.Errorf("discovery under another host: %v %s", err, body)
	}
}

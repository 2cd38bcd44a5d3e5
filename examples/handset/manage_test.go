package handset

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	testNumber  = "106000000000001"
	testAccount = "102000000000001"
)

// graph makes a management call with the right token.
func (w *world) graph(method, path, body string) answer {
	w.t.Helper()
	a, err := w.do(method, "/v25.0/"+path, body, graphHeaders)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// works makes a call that must succeed and decodes its answer.
func (w *world) works(method, path, body string, into any) {
	w.t.Helper()
	a := w.graph(method, path, body)
	if a.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if into != nil {
		if err := json.Unmarshal(a.body, into); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
}

// refused makes a call that must be refused and returns the code and subcode.
func (w *world) refused(method, path, body string) string {
	w.t.Helper()
	a := w.graph(method, path, body)
	var e struct{ Error graphErrorBody }
	if err := json.Unmarshal(a.body, &e); err != nil || a.status == http.StatusOK || e.Error.TraceID == "" || e.Error.Type == "" {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if e.Error.Subcode == 0 {
		return fmt.Sprint(e.Error.Code)
	}
	return fmt.Sprintf("%d/%d", e.Error.Code, e.Error.Subcode)
}

func (w *world) patch(path, body string) {
	w.t.Helper()
	if a := w.call(http.MethodPatch, path, body); a.status != http.StatusOK {
		w.t.Fatalf("PATCH %s: %d %s", path, a.status, a.body)
	}
}

func TestASendNeedsAnAccountInGoodOrder(t *testing.T) {
	for _, c := range []struct {
		name, path, change string
		code               int
	}{
		{"a token that ended", "/meta", `{"token":"expired"}`, 190},
		{"a token without the permission", "/meta", `{"token":"no_messaging"}`, 200},
		{"a number that is not registered", "/meta", `{"registered":false}`, 133010},
		{"a number that is banned", "/meta", `{"number_status":"BANNED"}`, 131031},
		{"a template that is paused", "/meta/templates", `{"status":"PAUSED"}`, 132015},
		{"a template that is disabled", "/meta/templates", `{"status":"DISABLED"}`, 132016},
		{"a template that is looked at", "/meta/templates", `{"language":"en_US","status":"PENDING"}`, 132001},
		{"a template that became marketing", "/meta/templates", `{"category":"MARKETING"}`, 131063},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.patch(c.path, c.change)
			a := w.send(sendBody(anna, "493027"))
			var e struct{ Error graphErrorBody }
			if err := json.Unmarshal(a.body, &e); err != nil || e.Error.Code != c.code {
				t.Errorf("answered %d %s, want %d", a.status, a.body, c.code)
			}
			w.call(http.MethodDelete, "/meta", "")
			w.whatsApp(anna, "493027") // all is well again
		})
	}
}

func TestAManagementCallNeedsTheTokenTheVersionAndTheRightNode(t *testing.T) {
	w := newWorld(t, nil)
	status := func(path, token string) string {
		a, err := w.do(http.MethodGet, path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Error graphErrorBody }
		_ = json.Unmarshal(a.body, &e)
		return fmt.Sprint(a.status, " ", e.Error.Code)
	}
	for path, want := range map[string]string{
		"/v25.0/" + testNumber:                             "401 190",
		"/25.0/" + testNumber:                              "400 2500",
		"/v25.0/" + testNumber + "/nothing":                "401 190",
		"/v25.0/debug_token?input_token=" + testToken:      "401 190",
		"/v25.0/" + testAccount + "/message_templates":     "401 190",
		"/v25.0/" + testAccount + "/message_templates?a=b": "401 190",
	} {
		if got := status(path, "wrong"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{"999999", testNumber + "/message_templates", testAccount + "/settings", testNumber + "/nothing"} {
		if got := status("/v25.0/"+path, testToken); got != "400 100" {
			t.Errorf("%s: %s", path, got)
		}
	}
	w.patch("/meta", `{"token":"no_management"}`)
	if got := w.refused(http.MethodGet, testNumber, ""); got != "200" {
		t.Errorf("without the permission: %s", got)
	}
	w.whatsApp(anna, "493027")
	w.patch("/meta", `{"token":"expired"}`)
	if got := w.refused(http.MethodGet, "debug_token?input_token="+testToken, ""); got != "190/463" {
		t.Errorf("with a token that ended: %s", got)
	}
	for _, body := range []string{`{"token":"lost"}`, `{"health":"ILL"}`, `{"unknown":1}`, `[]`, `{"callback_url":"/relative"}`} {
		if a := w.call(http.MethodPatch, "/meta", body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, a.status)
		}
	}
}

const copyCode = `"category":"AUTHENTICATION","message_send_ttl_seconds":30,"components":[{"type":"BODY","add_security_recommendation":true},` +
	`{"type":"FOOTER","code_expiration_minutes":5},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE"}]}]`

func TestATemplateIsMadeApprovedAndSent(t *testing.T) {
	w := newWorld(t, nil)
	var made struct{ ID, Status, Category string }
	w.works(http.MethodPost, testAccount+"/message_templates", `{"name":"another","language":"de",`+copyCode+`}`, &made)
	if made.Status != "PENDING" || made.Category != "AUTHENTICATION" || made.ID == "" {
		t.Errorf("made %+v", made)
	}
	w.clock.advance(time.Second)
	eventually(t, func() bool { return len(w.provider.received()) == 1 }, func() string { return "nobody was told that it is approved" })
	if body := string(w.provider.received()[0].body); !strings.Contains(body, `"event":"APPROVED"`) || !strings.Contains(body, `"message_template_id":`+made.ID) {
		t.Errorf("told %s", body)
	}
	sameShape(t, "template-list.response.json", w.graph(http.MethodGet, testAccount+"/message_templates?name=another", "").body)
	var node struct {
		Status string
		TTL    int `json:"message_send_ttl_seconds"`
	}
	w.works(http.MethodGet, made.ID+"?fields=status,message_send_ttl_seconds", "", &node)
	if node.Status != "APPROVED" || node.TTL != 30 {
		t.Errorf("node %+v", node)
	}
	a := w.send(strings.NewReplacer("parola_login_code", "another", "en_US", "de").Replace(sendBody(anna, "493027")))
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.clock.advance(time.Second)
	if in := w.inbox(anna); len(in) != 1 || !strings.Contains(in[0].Text, "Verifizierungscode") {
		t.Errorf("inbox %+v", in)
	}
}

func TestATemplateIsRefusedAsMetaDoes(t *testing.T) {
	w := newWorld(t, nil)
	good := `{"name":"another","language":"de",` + copyCode + `}`
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	const create = testAccount + "/message_templates"
	for name, c := range map[string]struct{ body, want string }{
		"no name":                {swap(`"name":"another",`, ``), "100"},
		"a name in capitals":     {swap("another", "Another"), "100"},
		"an unknown language":    {swap(`"de"`, `"de-DE"`), "100"},
		"another category":       {swap("AUTHENTICATION", "MARKETING"), "100"},
		"a short life":           {swap(`:30,`, `:29,`), "100"},
		"a long life":            {swap(`:30,`, `:901,`), "100"},
		"a late expiry":          {swap(`minutes":5`, `minutes":91`), "100"},
		"no button":              {swap(`,{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE"}]}`, ``), "100"},
		"another button":         {swap("COPY_CODE", "TWO_TAP"), "100"},
		"a long button":          {swap(`"COPY_CODE"`, `"COPY_CODE","text":"`+strings.Repeat("x", 26)+`"`), "100/2388040"},
		"text of its own":        {swap(`"BODY",`, `"BODY","text":"hello",`), "100"},
		"one that exists":        {strings.NewReplacer("another", "parola_login_code", `"de"`, `"it"`).Replace(good), "100/2388024"},
		"languages for one":      {swap(`"language":"de"`, `"languages":["de"]`), "100"},
		"something else":         {"hello", "100"},
		"a header":               {swap(`{"type":"BODY"`, `{"type":"HEADER"},{"type":"BODY"`), "100"},
		"one-tap without an app": {swap("COPY_CODE", "ONE_TAP"), "100"},
	} {
		if got := w.refused(http.MethodPost, create, c.body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	w.works(http.MethodDelete, create+"?name=parola_login_code", "", nil)
	if got := w.refused(http.MethodPost, create, strings.Replace(good, "another", "parola_login_code", 1)); got != "100/2388023" {
		t.Errorf("a name that was deleted: %s", got)
	}
	if got := w.refused(http.MethodDelete, create+"?name=nothing", ""); got != "100" {
		t.Errorf("deleting what is not there: %s", got)
	}
	if got := w.refused(http.MethodPost, testAccount+"/upsert_message_templates", swap(`"language":"de"`, `"languages":["de"],"language":"de"`)); got != "100" {
		t.Errorf("upsert with a language: %s", got)
	}
}

func TestTemplatesAreListedPageByPage(t *testing.T) {
	w := newWorld(t, nil)
	w.works(http.MethodPost, testAccount+"/upsert_message_templates", `{"name":"many","languages":["de","fr","es","hi"],`+copyCode+`}`, nil)
	var names []string
	path := testAccount + "/message_templates?fields=name,language&limit=3"
	for pages := 0; path != ""; pages++ {
		var list struct {
			Data   []map[string]string
			Paging struct {
				Cursors struct{ After string }
				Next    string
			}
		}
		w.works(http.MethodGet, path, "", &list)
		for _, node := range list.Data {
			if len(node) != 3 {
				t.Errorf("fields: %v", node)
			}
			names = append(names, node["name"]+"/"+node["language"])
		}
		path = ""
		if list.Paging.Next != "" {
			path = testAccount + "/message_templates?fields=name,language&limit=3&after=" + list.Paging.Cursors.After
		}
		if pages > 5 {
			t.Fatal("without end")
		}
	}
	want := []string{"parola_login_code/en", "parola_login_code/en_US", "parola_login_code/it", "many/de", "many/fr", "many/es", "many/hi"}
	if !slices.Equal(names, want) {
		t.Errorf("listed %q", names)
	}
	if got := w.refused(http.MethodGet, testAccount+"/message_templates?after=nonsense", ""); got != "131059" {
		t.Errorf("a bad cursor: %s", got)
	}
	if got := w.refused(http.MethodGet, testAccount+"/message_templates?fields=colour", ""); got != "100" {
		t.Errorf("a bad field: %s", got)
	}
	sameShape(t, "template-previews.response.json", w.graph(http.MethodGet, testAccount+
		"/message_template_previews?category=AUTHENTICATION&languages=en_US&button_types=OTP&code_expiration_minutes=5&add_security_recommendation=true", "").body)
}

func TestATemplateIsEdited(t *testing.T) {
	w := newWorld(t, nil)
	id := w.h.meta.templates[0].ID
	w.works(http.MethodPost, id, `{"message_send_ttl_seconds":60}`, nil)
	if got := w.h.meta.templates[0]; got.ttl != time.Minute || got.ExpiryMinutes != 5 || !got.Security {
		t.Errorf("edited to %+v", got)
	}
	w.patch("/meta/templates", `{"status":"DISABLED"}`)
	if got := w.refused(http.MethodPost, id, `{"message_send_ttl_seconds":60}`); got != "100" {
		t.Errorf("a disabled one: %s", got)
	}
}

func TestANumberIsVerifiedAndRegisteredWithItsPIN(t *testing.T) {
	w := newWorld(t, nil)
	w.patch("/meta", `{"registered":false,"verified":false}`)
	const register = `{"messaging_product":"whatsapp","pin":"204816"}`
	if got := w.refused(http.MethodPost, testNumber+"/register", register); got != "133006" {
		t.Errorf("before it is verified: %s", got)
	}
	w.works(http.MethodPost, testNumber+"/request_code", `{"code_method":"SMS","language":"en_US"}`, nil)
	code := w.inbox("+12025550100")[0].Passcode
	if got := w.refused(http.MethodPost, testNumber+"/verify_code", `{"code":"`+strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)+`"}`); got != "136025" {
		t.Errorf("a wrong code: %s", got)
	}
	w.works(http.MethodPost, testNumber+"/verify_code", `{"code":"`+code+`"}`, nil)
	if got := w.refused(http.MethodPost, testNumber+"/request_code", `{"code_method":"SMS","language":"en_US"}`); got != "136024" {
		t.Errorf("when it is verified: %s", got)
	}
	w.works(http.MethodPost, testNumber+"/register", register, nil)
	w.whatsApp(anna, "493027")
	w.works(http.MethodPost, testNumber+"/deregister", "", nil)
	wrong := strings.Replace(register, "204816", "000000", 1)
	for i := range 6 {
		want := "133005"
		if i == 5 {
			want = "133008"
		}
		if got := w.refused(http.MethodPost, testNumber+"/register", wrong); got != want {
			t.Errorf("wrong PIN %d: %s", i+1, got)
		}
	}
	w.clock.advance(pinRest)
	w.works(http.MethodPost, testNumber+"/register", register, nil)
	if got := w.refused(http.MethodPost, testNumber+"/register", register); got != "133016" {
		t.Errorf("after ten calls: %s", got)
	}
	for _, pin := range []string{"", "12345", "abcdef", "1234567"} {
		if got := w.refused(http.MethodPost, testNumber, `{"pin":"`+pin+`"}`); got != "100" {
			t.Errorf("PIN %q: %s", pin, got)
		}
	}
	w.works(http.MethodPost, testNumber, `{"pin":"111111"}`, nil)
	eventually(t, func() bool {
		return slices.ContainsFunc(w.provider.received(), func(k hook) bool { return strings.Contains(string(k.body), `"event":"PIN_CHANGED"`) })
	}, func() string { return "nobody was told of the new PIN" })
}

func TestTheNumberTellsItsStateAndHealth(t *testing.T) {
	w := newWorld(t, nil)
	sameShape(t, "phone-number.response.json", w.graph(http.MethodGet, testNumber+
		"?fields=verified_name,display_phone_number,quality_rating,code_verification_status,name_status,status,whatsapp_business_manager_messaging_limit", "").body)
	w.patch("/meta", `{"quality":"RED","registered":false,"health":"BLOCKED","api_version":"v26.0"}`)
	a := w.graph(http.MethodGet, testNumber+"?fields=status,quality_rating,health_status", "")
	if !strings.Contains(string(a.body), `"DISCONNECTED"`) || !strings.Contains(string(a.body), `"RED"`) || !strings.Contains(string(a.body), `"possible_solution"`) {
		t.Errorf("told %s", a.body)
	}
	if got := a.header.Get("facebook-api-version"); got != "v26.0" {
		t.Errorf("version %q", got)
	}
	if got := w.refused(http.MethodGet, testNumber+"?fields=colour", ""); got != "100" {
		t.Errorf("an unknown field: %s", got)
	}
}

func TestWebhooksGoWhereTheAccountIsSubscribed(t *testing.T) {
	w := newWorld(t, nil)
	w.works(http.MethodDelete, testAccount+"/subscribed_apps", "", nil)
	w.whatsApp(anna, "493027")
	w.clock.advance(time.Second)
	w.expect()
	if a := w.call(http.MethodPost, "/emit", `{"payload":"security-pin-changed"}`); a.status != http.StatusConflict {
		t.Errorf("emitted without a subscription: %d", a.status)
	}
	w.works(http.MethodPost, testAccount+"/subscribed_apps", "", nil)
	w.whatsApp(anna, "493028")
	w.expect("sent")

	other := newProvider(t)
	if got := w.refused(http.MethodPost, testAccount+"/subscribed_apps", `{"override_callback_uri":"`+other.URL+`/hook","verify_token":"t"}`); got != "2200" {
		t.Errorf("a URL that fails the handshake: %s", got)
	}
	echo := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte(r.URL.Query().Get("hub.challenge")))
	}))
	defer echo.Close()
	w.works(http.MethodPost, testAccount+"/subscribed_apps", `{"override_callback_uri":"`+echo.URL+`","verify_token":"t"}`, nil)
	if got := w.h.webhook(); got != echo.URL {
		t.Errorf("webhooks go to %s", got)
	}
}

func TestAnIdentityChangesWithThePhone(t *testing.T) {
	w := newWorld(t, nil)
	w.works(http.MethodPost, testNumber+"/settings", `{"user_identity_change":{"enable_identity_key_check":true}}`, nil)
	w.whatsApp(anna, "493027")
	w.expect("sent")
	var hook hookBody
	if err := json.Unmarshal(w.provider.received()[0].body, &hook); err != nil {
		t.Fatal(err)
	}
	hash := hook.Entry[0].Changes[0].Value.Statuses[0].IdentityHash
	if hash == "" {
		t.Fatal("no identity was told")
	}
	if a := w.call(http.MethodPost, "/identity", `{"phone":"`+anna+`","id":""}`); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.send(strings.Replace(sendBody(anna, "493028"), `"type":"template"`, `"type":"template","recipient_identity_key_hash":"`+hash+`"`, 1))
	w.clock.advance(time.Second)
	w.expect("sent", "delivered", "failed 137000")
}

func TestATextIsTakenForADayAfterThePersonWrote(t *testing.T) {
	w := newWorld(t, nil)
	text := `{"messaging_product":"whatsapp","recipient_type":"individual","to":"` + anna + `","type":"text","text":{"preview_url":false,"body":"We stopped it."},"biz_opaque_callback_data":"notice-1"}`
	if a := w.send(text); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.clock.advance(time.Second)
	w.expect("failed 131047")
	id := w.whatsApp(anna, "493027")
	w.clock.advance(time.Second)
	w.call(http.MethodPost, "/button", `{"phone":"`+anna+`","id":"`+id+`"}`)
	w.send(text)
	w.clock.advance(time.Second)
	w.expect("failed 131047", "sent", "delivered", "button", "sent", "delivered")
	if in := w.inbox(anna); len(in) != 2 || in[0].Text != "We stopped it." || in[0].Passcode != "" {
		t.Errorf("inbox %+v", in)
	}
	w.clock.advance(24 * time.Hour)
	w.send(text)
	w.clock.advance(time.Second)
	w.expect("failed 131047", "sent", "delivered", "button", "sent", "delivered", "failed 131047")
}

func TestEachWebhookOfTheAccountCanBeEmitted(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.DisplayNumber = "12025550199" })
	var names []string
	if a := w.call(http.MethodGet, "/emit", ""); json.Unmarshal(a.body, &names) != nil || len(names) < 25 {
		t.Fatalf("names: %s", a.body)
	}
	for i, name := range names {
		if a := w.call(http.MethodPost, "/emit", `{"payload":"`+name+`","set":{"extra":"é"}}`); a.status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
		eventually(t, func() bool { return len(w.provider.received()) == i+1 }, func() string { return name + " did not come" })
		k := w.provider.received()[i]
		if k.header.Get("X-Hub-Signature-256") != hubSignature(testSecret, k.body) {
			t.Errorf("%s: wrong signature", name)
		}
		if strings.Contains(string(k.body), "12025550100") || !strings.Contains(string(k.body), `"extra":"\u00e9"`) || !strings.Contains(string(k.body), testAccount) {
			t.Errorf("%s: %s", name, k.body)
		}
	}
	whole := `{"object":"whatsapp_business_account","entry":[]}`
	if a := w.call(http.MethodPost, "/emit", `{"payload":`+whole+`}`); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, func() bool { return len(w.provider.received()) == len(names)+1 }, func() string { return "the whole body did not come" })
	if got := w.provider.received()[len(names)]; string(got.body) != whole {
		t.Errorf("posted %s", got.body)
	}
	for _, body := range []string{`{"payload":"nothing"}`, `{"payload":7}`, `{}`, `[]`} {
		if a := w.call(http.MethodPost, "/emit", body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, a.status)
		}
	}
}

package sms

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parola-id/parola/mfa"
)

// FuzzTemplate fills templates with values of any kind: what a reader of the format finds is the value, and nothing else.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "123456", `"}, "to": "`, `\`, "a&b=c", "</t><t>", "{text}", "\u2028\x00", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := values{"text": {text: s}, "id": {text: "7", bare: true}}
		fill := func(body string, placed func(int) place) string {
			parsed, err := parseTemplate(body, []string{"text", "id"}, placed)
			if err != nil {
				t.Fatal(err)
			}
			return parsed.fill(v)
		}
		valid := strings.ToValidUTF8(s, "\ufffd")
		const body = `{"a":"\"{text}\"","b":{text},"n":{id}}`
		var got struct {
			A, B string
			N    int
		}
		d := json.NewDecoder(strings.NewReader(fill(body, inJSONText(body))))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil || d.More() || utf8.ValidString(s) && (got.A != `"`+valid+`"` || got.B != valid) || got.N != 7 {
			t.Errorf("JSON: %q became %+v: %v", s, got, err)
		}
		form, err := url.ParseQuery(fill("a={text}&b={id}", everywhere(inForm)))
		if err != nil || len(form) != 2 || form.Get("a") != s {
			t.Errorf("form: %q became %v: %v", s, form, err)
		}
		const address = "https://gateway.example/send/{text}/x?q={text}"
		u, err := url.Parse(fill(address, inURL(address)))
		if err != nil || u.Host != "gateway.example" || u.Path != "/send/"+s+"/x" || u.Query().Get("q") != s || u.Fragment != "" {
			t.Errorf("URL: %q became %v: %v", s, u, err)
		}
		var element struct {
			A    string `xml:"a,attr"`
			Text string `xml:",chardata"`
			Else []any  `xml:",any"`
		}
		err = xml.Unmarshal([]byte(fill(`<t a="{text}">{text}</t>`, everywhere(inXML))), &element)
		if err != nil || len(element.Else) != 0 || element.A != element.Text {
			t.Errorf("XML: %q became %+v: %v", s, element, err)
		}
	})
}

// FuzzTemplateSource reads descriptions that nobody meant: an error or a template, and no placeholder left over.
func FuzzTemplateSource(f *testing.F) {
	for _, s := range []string{`{"to":"{to}","text":{text}}`, "{to}{text}", `{"a{to":"\\"}`, "{}", "{nothing}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := GatewayConfig{Method: "POST", URL: "https://gateway.example/send", BodyType: "json", Body: body}
		r, err := c.compileRequest()
		if err != nil {
			return
		}
		filled := r.body.fill(hostileValues)
		if !json.Valid([]byte(filled)) {
			t.Errorf("%q became %q", body, filled)
		}
	})
}

// FuzzGatewayReceipt gives the reader of receipts anything. Without the proof nothing is reported.
func FuzzGatewayReceipt(f *testing.F) {
	f.Add(`{"receipts":[{"id":"m1","status":"DELIVRD"},{"status":{"a":[]}}]}`, "application/json", true)
	f.Add("id=m1&status=UNDELIV&error=1", "application/x-www-form-urlencoded", false)
	f.Add(`[[[[`, "", true)
	config := Config{CallbackURL: "https://login.example.com/x", Text: func(string, string) (string, error) { return "", nil }}
	var gateways []*Gateway
	for _, receipt := range []GatewayReceipt{
		{Items: "receipts", ID: "ref", Auth: "secret"}, {ID: "ref.0", Auth: "secret"}, {Type: "form", ID: "ref", Auth: "secret"},
	} {
		receipt.MessageID, receipt.Status, receipt.Error = "id", "status", "error"
		receipt.Outcomes = map[string]string{"DELIVRD": "delivered", "UNDELIV": "failed", "": "sent"}
		g, err := NewGateway(GatewayConfig{
			Config: config, URL: "https://gateway.example/send", BodyType: "form", Body: "to={to}&text={text}",
			MessageID: Selector{JSON: "id"}, Receipt: receipt, CallbackSecrets: []string{"secret"},
		})
		if err != nil {
			f.Fatal(err)
		}
		gateways = append(gateways, g)
	}
	f.Fuzz(func(t *testing.T, body, kind string, proved bool) {
		for _, g := range gateways {
			target := "/x"
			if proved {
				target += "?secret=secret"
			}
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			g.Handler(func(_ context.Context, reports []mfa.Report) error {
				for _, report := range reports {
					if !proved || report.Status == "" || report.Carrier != "gateway" || report.Status != mfa.StatusFailed && report.Failure != (mfa.Failure{}) {
						t.Errorf("reported %+v", report)
					}
				}
				return nil
			}).ServeHTTP(w, r)
			if !proved && w.Code != http.StatusForbidden {
				t.Errorf("answered %d", w.Code)
			}
		}
	})
}

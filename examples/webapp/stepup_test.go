package webapp

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPayments_NeedACodeThatNoTextMessageCarried(t *testing.T) {
	tests := []struct {
		acr     string
		allowed bool
	}{
		{acrPhishingResistant, true}, {acrPhoneNoSMS, true},
		{acrPhone, false}, {acrPassword, false}, {"urn:parola:acr:superb", false}, {"", false},
	}
	for _, tt := range tests {
		t.Run("with acr "+tt.acr, func(t *testing.T) {
			op := newTestOP(t)
			op.claims["acr"] = tt.acr
			b := newBrowser(t, op, nil)
			b.get("/login")
			if tt.allowed {
				b.get("/payments").want(t, 200, `id="pay"`)
				b.post("/payments").want(t, 200, `id="payments"`, tt.acr)
				return
			}
			b.get("/payments").want(t, 200, `id="step-up"`, "by SMS")
			// The button is not on the page; somebody presses it all the same.
			page := b.post("/payments")
			page.want(t, 403, `id="step-up"`)
			if strings.Contains(page.body, `id="payments"`) {
				t.Error("it was paid")
			}
		})
	}
	t.Run("and somebody signed in", func(t *testing.T) {
		newBrowser(t, newTestOP(t), nil).post("/payments").want(t, 403, `id="login"`)
	})
}

const stepUp = "/login?essential_acr=" + acrPhoneNoSMS + "&next=/payments"

func TestStepUp_AsksForTheACRAsACondition(t *testing.T) {
	op := newTestOP(t)
	b := newBrowser(t, op, nil)
	b.get("/login")
	op.claims["acr"] = acrPhoneNoSMS
	if page := b.get(stepUp); page.path != "/payments" || !strings.Contains(page.body, `id="pay"`) {
		t.Errorf("ended at %s:\n%s", page.path, page.body)
	}
	var asked struct {
		IDToken struct {
			ACR struct {
				Essential bool     `json:"essential"`
				Values    []string `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(op.request.Get("claims")), &asked); err != nil {
		t.Fatal(err)
	}
	if acr := asked.IDToken.ACR; !acr.Essential || len(acr.Values) != 1 || acr.Values[0] != acrPhoneNoSMS {
		t.Errorf("claims = %s", op.request.Get("claims"))
	}
	if got := op.request.Get("acr_values"); got != acrPhoneNoSMS {
		t.Errorf("acr_values = %q", got)
	}
}

func TestStepUp_LeavesTheLoginAsItWasWhenItFails(t *testing.T) {
	tests := []struct {
		name   string
		change func(*testOP)
		status int
		says   string
	}{
		{"the provider gives less than it was asked for", func(op *testOP) {}, 502, "not strong enough"},
		{"another person comes back", func(op *testOP) { op.claims["acr"], op.claims["sub"] = acrPhoneNoSMS, "bob" }, 502, "somebody else"},
		{"the provider says that it cannot", func(op *testOP) {
			op.answer.Set("error", "unmet_authentication_requirements")
		}, 403, "phone without SMS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op := newTestOP(t)
			b := newBrowser(t, op, nil)
			b.get("/login")
			tt.change(op)
			b.get(stepUp).want(t, tt.status, tt.says)
			b.get("/").want(t, 200, "Ada Rossi", acrPhone)
			b.post("/payments").want(t, 403)
		})
	}
}

func TestBalance_DoesTheStepUpThatTheAPIAsksFor(t *testing.T) {
	op, api := newTestOP(t), newTestAPI(t, acrPhone)
	b := newBrowser(t, op, func(cfg *Config) { cfg.APIURL = api.server.URL })
	b.get("/balance").want(t, 200, `id="login"`)
	b.get("/login?next=/balance").want(t, 200, "97500")

	page := b.post("/balance/payments")
	page.want(t, 200, `id="api-status">401`, "too low, sorry", `id="step-up"`)
	_, link, _ := strings.Cut(page.body, `id="step-up" href="`)
	link, _, _ = strings.Cut(link, `"`)
	op.claims["acr"], api.acr = acrPhoneNoSMS, acrPhoneNoSMS
	op.claims["auth_time"] = nil
	b.get(link).want(t, 502, "not fresh") // max_age of the challenge was passed on, and is checked
	delete(op.claims, "auth_time")
	b.get(link).want(t, 200, "97500")
	if op.request.Get("acr_values") != acrPhoneNoSMS || op.request.Get("max_age") != "300" || op.request.Has("claims") {
		t.Errorf("step-up asked for %v", op.request)
	}
}

func TestBalance_ShowsAnAPIThatIsDown(t *testing.T) {
	api := newTestAPI(t, acrPhone)
	b := newBrowser(t, newTestOP(t), func(cfg *Config) { cfg.APIURL = api.server.URL })
	b.get("/login")
	api.server.Close()
	b.get("/balance").want(t, 503, "API does not answer")
}

func TestParseBearerChallenge(t *testing.T) {
	tests := []struct {
		name, header string
		want         map[string]string
	}{
		{"quoted strings and a token", `Bearer error="insufficient_user_authentication", acr_values="a b", max_age=5`,
			map[string]string{"error": "insufficient_user_authentication", "acr_values": "a b", "max_age": "5"}},
		{"a comma and an escaped quote inside a string", `bearer error_description="say \"hi\", please",error=x`,
			map[string]string{"error_description": `say "hi", please`, "error": "x"}},
		{"spaces around the equals sign", `Bearer Error = "x"`, map[string]string{"error": "x"}},
		{"no parameters", `Bearer `, map[string]string{}},
		{"another scheme", `Basic realm="x"`, nil},
		{"a second scheme after it", `Bearer error="x", Basic realm="y"`, nil},
		{"a string that does not end", `Bearer error="x`, nil},
		{"a string that ends in an escape", `Bearer error="x\`, nil},
		{"a repeated parameter", `Bearer acr_values="a", acr_values="b"`, nil},
		{"a parameter without a value", `Bearer error=, realm="x"`, nil},
		{"nothing", ``, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseBearerChallenge(tt.header)
			if (got == nil) != (tt.want == nil) || len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for name, value := range tt.want {
				if got[name] != value {
					t.Errorf("%s = %q, want %q", name, got[name], value)
				}
			}
		})
	}
}

func FuzzParseBearerChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="a b", max_age=5`)
	f.Add(`Bearer a="\"`)
	f.Add(`Bearer a=,=b`)
	f.Fuzz(func(t *testing.T, header string) {
		for name := range parseBearerChallenge(header) {
			if name == "" || strings.ContainsAny(name, " ,\"") {
				t.Errorf("%q gave the parameter %q", header, name)
			}
		}
	})
}

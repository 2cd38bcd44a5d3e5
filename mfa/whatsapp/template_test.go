package whatsapp_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/whatsapp"
)

// answering is a channel to a carrier that always answers the same, and the bodies that it was sent.
func answering(t *testing.T, change func(*whatsapp.Config), status int, answer string) (*whatsapp.Channel, *[]string) {
	t.Helper()
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	cfg := config(channeltest.Env{CarrierURL: server.URL})
	if change != nil {
		change(&cfg)
	}
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, &sent
}

func refusedWith(t *testing.T, status int, answer string) mfa.Refused {
	t.Helper()
	c, _ := answering(t, nil, status, answer)
	m := channeltest.Message(t)
	m.Locale = "en"
	_, err := c.Send(t.Context(), m)
	var refused *mfa.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	return *refused
}

func TestOTP38_APasscodeGoesOutAsATemplateWithACopyButtonAndNeverAsText(t *testing.T) {
	c, sent := answering(t, nil, http.StatusBadRequest, `{"error":{"code":131000}}`)
	m := channeltest.Message(t)
	if _, err := c.Send(t.Context(), m); err == nil {
		t.Error("no error")
	}
	var body struct {
		Type     string
		To       string
		Text     json.RawMessage
		Identity json.RawMessage `json:"recipient_identity_key_hash"`
		Template struct {
			Components []struct {
				Type       string
				SubType    string `json:"sub_type"`
				Parameters []struct{ Type, Text string }
			}
		}
	}
	if err := json.Unmarshal([]byte((*sent)[0]), &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != "template" || body.Text != nil || body.Identity != nil {
		t.Errorf("a message of the type %q, text %s, identity %s", body.Type, body.Text, body.Identity)
	}
	if body.To != channeltest.Number {
		t.Error("to is not the number with its plus")
	}
	passcode := m.Passcode.Reveal()
	where := map[string]string{}
	for _, c := range body.Template.Components {
		for _, p := range c.Parameters {
			where[c.Type+c.SubType] = p.Text
		}
	}
	// An authentication template has these two places and no other.
	if len(where) != 2 || where["body"] != passcode || where["buttonurl"] != passcode {
		t.Errorf("%d places with parameters", len(where))
	}
}

func TestAnIdentityGoesWithTheMessageThatIsBoundToIt(t *testing.T) {
	c, sent := answering(t, nil, http.StatusOK, `{"messages":[{"id":"wamid.1"}]}`)
	m := channeltest.Message(t)
	m.Identity = "Ub3kQ0yT5pA="
	if _, err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains((*sent)[0], `"recipient_identity_key_hash":"Ub3kQ0yT5pA="`) {
		t.Error("it did not")
	}
}

func TestWhatMetaHoldsForAssessmentIsAcceptedAndWhatItPausesIsNot(t *testing.T) {
	c, _ := answering(t, nil, http.StatusOK, `{"messages":[{"id":"wamid.1","message_status":"held_for_quality_assessment"}]}`)
	if sent, err := c.Send(t.Context(), channeltest.Message(t)); err != nil || sent.MessageID != "wamid.1" {
		t.Errorf("held: %v", err)
	}
	if got := refusedWith(t, http.StatusOK, `{"messages":[{"id":"wamid.1","message_status":"paused"}]}`); got.Class != mfa.ClassConfig || !got.NotSent {
		t.Errorf("paused: %+v", got)
	}
}

// The person's language decides the template's; what Meta does not have there is tried once in the default one.
func TestTheTemplatesLanguageIsTheNearestThatMayBeSent(t *testing.T) {
	all := []string{"en_US", "it", "pt_BR", "es", "zh_CN", "sr"}
	for _, tt := range []struct {
		name, locale string
		languages    []string
		held         []string
		want         []string
	}{
		{"the same", "it", all, nil, []string{"it", "en_US"}},
		{"of another country", "it-CH", all, nil, []string{"it", "en_US"}},
		{"of any country", "pt", all, nil, []string{"pt_BR", "en_US"}},
		{"of the other side of the sea", "pt-PT", all, nil, []string{"pt_BR", "en_US"}},
		{"of a continent", "es-419", all, nil, []string{"es", "en_US"}},
		{"in another script", "sr-Latn", all, nil, []string{"sr", "en_US"}},
		{"in the other Chinese script", "zh-TW", all, nil, []string{"zh_CN", "en_US"}},
		{"the default, once", "en-GB", all, nil, []string{"en_US"}},
		{"none at all", "ja", all, nil, []string{"en_US"}},
		{"no locale", "", all, nil, []string{"en_US"}},
		{"no locale at all", "!", all, nil, []string{"en_US"}},
		{"held", "it", all, []string{"it"}, []string{"en_US"}},
		{"held, with another of the same language", "pt-BR", []string{"en_US", "pt_BR", "pt_PT"}, []string{"pt_BR"}, []string{"pt_PT", "en_US"}},
		{"with a default that is held", "it", all, []string{"en_US"}, []string{"it"}},
		{"none, with a default that is held", "ja", all, []string{"en_US"}, []string{"it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, sent := answering(t, func(cfg *whatsapp.Config) {
				cfg.Languages = tt.languages
				cfg.Usable = func(language string) bool { return !slices.Contains(tt.held, language) }
			}, http.StatusNotFound, `{"error":{"code":132001}}`)
			m := channeltest.Message(t)
			m.Locale = tt.locale
			_, err := c.Send(t.Context(), m)
			if refused := (*mfa.Refused)(nil); !errors.As(err, &refused) || refused.Code != "132001" {
				t.Errorf("got %v", err)
			}
			var got []string
			for _, body := range *sent {
				var m struct {
					Template struct{ Language struct{ Code string } }
				}
				if err := json.Unmarshal([]byte(body), &m); err != nil {
					t.Fatal(err)
				}
				got = append(got, m.Template.Language.Code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("tried %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWithoutALanguageThatMayBeSentNothingIsTried(t *testing.T) {
	c, sent := answering(t, func(cfg *whatsapp.Config) { cfg.Usable = func(string) bool { return false } }, http.StatusOK, `{}`)
	_, err := c.Send(t.Context(), channeltest.Message(t))
	var refused *mfa.Refused
	if !errors.As(err, &refused) || refused.Class != mfa.ClassFallback || refused.Code != "template_held" || !refused.NotSent || len(*sent) != 0 {
		t.Errorf("%v after %d calls", err, len(*sent))
	}
}

func TestAWarningIsATextInThePersonsLanguage(t *testing.T) {
	words := func(cfg *whatsapp.Config) {
		cfg.WarnText = func(locale, kind string) (string, error) {
			if kind != "not_requested" {
				return "", errors.New("no words")
			}
			return "stopped, in " + locale, nil
		}
	}
	to, err := mfa.ParsePhone(channeltest.Number, "")
	if err != nil {
		t.Fatal(err)
	}
	w := mfa.Warning{NoticeID: "notice", To: to, Locale: "it", Kind: "not_requested"}
	t.Run("sent", func(t *testing.T) {
		c, sent := answering(t, words, http.StatusOK, `{"messages":[{"id":"wamid.1"}]}`)
		if err := c.Warn(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		const want = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+393331234567","type":"text",` +
			`"text":{"preview_url":false,"body":"stopped, in it"},"biz_opaque_callback_data":"notice"}`
		if (*sent)[0] != want {
			t.Errorf("sent %s", (*sent)[0])
		}
	})
	t.Run("too late for a text", func(t *testing.T) {
		c, _ := answering(t, words, http.StatusBadRequest, `{"error":{"code":131047}}`)
		var refused *mfa.Refused
		if err := c.Warn(t.Context(), w); !errors.As(err, &refused) || refused.Class != mfa.ClassFallback || !refused.NotSent {
			t.Errorf("got %v", err)
		}
	})
	for name, change := range map[string]func(*whatsapp.Config){"without words for it": words, "without any words": nil} {
		t.Run(name, func(t *testing.T) {
			w := w
			w.Kind = "birthday"
			c, sent := answering(t, change, http.StatusOK, `{"messages":[{"id":"wamid.1"}]}`)
			var refused *mfa.Refused
			if err := c.Warn(t.Context(), w); !errors.As(err, &refused) || refused.Class != mfa.ClassConfig || !refused.NotSent || len(*sent) != 0 {
				t.Errorf("got %v after %d calls", err, len(*sent))
			}
		})
	}
}

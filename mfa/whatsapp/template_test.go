package whatsapp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parola-id/parola/mfa/channeltest"
)

func TestOTP38_APasscodeGoesOutAsATemplateWithACopyButtonAndNeverAsText(t *testing.T) {
	var sent []byte
	carrier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"code":131000}}`))
	}))
	defer carrier.Close()
	m := channeltest.Message(t)
	if _, err := newChannel(t, channeltest.Env{CarrierURL: carrier.URL}).Send(t.Context(), m); err == nil {
		t.Error("no error")
	}
	var body struct {
		Type     string
		Text     json.RawMessage
		Template struct {
			Components []struct {
				Type, SubType string
				Parameters    []struct{ Type, Text string }
			}
		}
	}
	// Meta's sub_type.
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(sent), "sub_type", "subtype")), &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != "template" || body.Text != nil {
		t.Errorf("a message of the type %q, text %s", body.Type, body.Text)
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

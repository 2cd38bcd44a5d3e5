package whatsapp_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/channeltest"
	"github.com/parola-id/parola/mfa/whatsapp"
)

// about wraps a value of another field than messages.
func about(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","time":1790000100,"changes":[{"value":` + value + `,"field":"` + field + `"}]}]}`
}

// ofTemplate is about our template in a language that we send in.
func ofTemplate(members string) string {
	return `{"message_template_id":594000000000001,"message_template_name":"parola_login_code","message_template_language":"pt-BR",` + members + `}`
}

func TestBulletins(t *testing.T) {
	const circuit, portuguese = "carrier/meta", "template/pt_BR"
	status := func(event string) string {
		return about("message_template_status_update", ofTemplate(`"reason":null,"event":"`+event+`"`))
	}
	of := func(kind, severity, subject string, change ...func(*mfa.Bulletin)) []mfa.Bulletin {
		b := mfa.Bulletin{Channel: mfa.WhatsApp, Carrier: "meta", Kind: kind, Severity: severity, Subject: subject, At: time.Unix(1790000100, 0).UTC()}
		for _, f := range change {
			f(&b)
		}
		return []mfa.Bulletin{b}
	}
	hold := func(name string) func(*mfa.Bulletin) { return func(b *mfa.Bulletin) { b.Hold = name } }
	release := func(name string) func(*mfa.Bulletin) { return func(b *mfa.Bulletin) { b.Release = name } }
	timeless := func(b *mfa.Bulletin) { b.At = time.Time{} }
	const ours = "parola_login_code/pt_BR"
	for _, tt := range []struct {
		name, body string
		want       []mfa.Bulletin
	}{
		{"a template that is paused is held", status("PAUSED"), of("template_paused", audit.High, ours, hold(portuguese))},
		{"one that is flagged too", status("FLAGGED"), of("template_paused", audit.High, ours, hold(portuguese))},
		{"one that is disabled", status("DISABLED"), of("template_disabled", audit.High, ours, hold(portuguese))},
		{"one that is rejected", status("REJECTED"), of("template_disabled", audit.High, ours, hold(portuguese))},
		{"one that is archived", status("ARCHIVED"), of("template_disabled", audit.High, ours, hold(portuguese))},
		{"one that is about to be deleted", status("PENDING_DELETION"), of("template_disabled", audit.High, ours, hold(portuguese))},
		{"a status that Meta may invent", status("SUPERSEDED"), of("template_disabled", audit.High, ours, hold(portuguese))},
		{"one that is approved is released", status("APPROVED"), of("template_approved", audit.Info, ours, release(portuguese))},
		{"one that is reinstated", status("REINSTATED"), of("template_approved", audit.Info, ours, release(portuguese))},
		{"one that is taken from the archive", status("UNARCHIVED"), of("template_approved", audit.Info, ours, release(portuguese))},
		{"one that is looked at stays as it was", status("PENDING"), of("template_review", audit.Info, ours)},
		{"one that is looked at again too", status("IN_APPEAL"), of("template_review", audit.Info, ours)},
		{"a language that we do not send in is told and not held", strings.Replace(status("PAUSED"), "pt-BR", "fi", 1), of("template_paused", audit.High, "parola_login_code/fi")},
		{"another template of the account", strings.Replace(status("PAUSED"), "parola_login_code", "newsletter", 1), nil},

		{"quality that falls to yellow", about("message_template_quality_update", ofTemplate(`"previous_quality_score":"GREEN","new_quality_score":"YELLOW"`)), of("template_quality", audit.Info, ours)},
		{"to red, under the field that Meta's sample has", about("message_template_status_update", ofTemplate(`"new_quality_score":"RED"`)), of("template_quality", audit.Warning, ours)},
		{"a new category", about("template_category_update", ofTemplate(`"previous_category":"AUTHENTICATION","new_category":"MARKETING"`)), of("template_category", audit.High, ours)},
		{"a category that is announced", about("template_category_update", ofTemplate(`"correct_category":"MARKETING","category_update_timestamp":1790086500`)), of("template_category", audit.High, ours)},

		{"an account that is disabled is held", about("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"DISABLE"}}`), of("account_disabled", audit.High, "DISABLED_UPDATE", hold(circuit))},
		{"one that will be is not yet", about("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"SCHEDULE_FOR_DISABLE","waba_ban_date":"October 1, 2026"}}`), of("account_disabled", audit.High, "DISABLED_UPDATE")},
		{"one that is back is released", about("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"REINSTATE"}}`), of("account_reinstated", audit.Warning, "DISABLED_UPDATE", release(circuit))},
		{"one that was deleted", about("account_update", `{"event":"ACCOUNT_DELETED"}`), of("account_disabled", audit.High, "ACCOUNT_DELETED", hold(circuit))},
		{"one that may not write first", about("account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_ADD_PHONE_NUMBER_ACTION"},{"restriction_type":"RESTRICTED_BIZ_INITIATED_MESSAGING","expiration":1790000200}]}`), of("account_restricted", audit.High, "ACCOUNT_RESTRICTION", hold(circuit))},
		{"one that may not answer still sends passcodes", about("account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_CUSTOMER_INITIATED_MESSAGING"}]}`), of("account_restricted", audit.High, "ACCOUNT_RESTRICTION")},
		{"a violation", about("account_update", `{"event":"ACCOUNT_VIOLATION","violation_info":{"violation_type":"SCAM"}}`), of("account_alert", audit.High, "ACCOUNT_VIOLATION")},
		{"a price that rises", about("account_update", `{"event":"AUTH_INTL_PRICE_ELIGIBILITY_UPDATE"}`), of("account_alert", audit.Warning, "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE")},
		{"a partner", about("account_update", `{"event":"PARTNER_ADDED"}`), of("account_alert", audit.Info, "PARTNER_ADDED")},
		{"a review that rejects holds", about("account_review_update", `{"decision":"REJECTED"}`), of("account_review", audit.High, "", hold(circuit))},
		{"a review that approves releases", about("account_review_update", `{"decision":"APPROVED"}`), of("account_review", audit.Info, "", release(circuit))},
		{"an alert", about("account_alerts", `{"entity_type":"WABA","alert_info":{"alert_severity":"CRITICAL","alert_status":"ACTIVE","alert_type":"OBA_REJECTED","alert_description":"+39 333 1234567"}}`), of("account_alert", audit.High, "OBA_REJECTED")},

		{"somebody changed the PIN", about("security", `{"display_phone_number":"12025550100","event":"PIN_CHANGED","requester":"506000000000009"}`), of("pin_changed", audit.High, "…0100")},
		{"somebody asks to turn it off", about("security", `{"display_phone_number":"+1 202-555-0100","event":"PIN_RESET_REQUEST"}`), of("pin_changed", audit.High, "…0100")},
		{"another number of the account", about("security", `{"display_phone_number":"12025550199","event":"PIN_CHANGED"}`), nil},
		{"a better number", about("phone_number_quality_update", `{"display_phone_number":"12025550100","event":"THROUGHPUT_UPGRADE","max_daily_conversations_per_business":"TIER_UNLIMITED"}`), of("number_quality", audit.Info, "…0100")},
		{"a worse number", about("phone_number_quality_update", `{"display_phone_number":"12025550100","event":"FLAGGED"}`), of("number_quality", audit.Warning, "…0100")},
		{"a name that is refused", about("phone_number_name_update", `{"display_phone_number":"12025550100","decision":"REJECTED","requested_verified_name":"X"}`), of("number_name", audit.Warning, "…0100")},
		{"a limit as a number", about("business_capability_update", `{"max_daily_conversations_per_business":2000}`), of("capability", audit.Info, "")},
		{"a limit as a word", about("business_capability_update", `{"max_daily_conversations_per_business":"TIER_2K"}`), of("capability", audit.Info, "")},

		{"an error that passes", envelope(`"errors":[{"code":130429,"title":"Rate limit hit"}]`), of("account_error", audit.Warning, "130429", timeless)},
		{"an error that does not", envelope(`"errors":[{"code":131042}]`), of("account_error", audit.High, "131042", timeless)},

		{"another account of the app", strings.Replace(about("account_update", `{"event":"ACCOUNT_DELETED"}`), "102000000000001", "102000000000002", 1), nil},
		{"a value that cannot be read", about("account_update", `7`), nil},
		{"a template that cannot be read", about("message_template_status_update", `[]`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(channeltest.Env{})
			cfg.AccountID, cfg.DisplayNumber = "102000000000001", "+12025550100"
			c, err := whatsapp.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			reports, got, code := heard(t, c, tt.body)
			if code != http.StatusOK || len(reports) != 0 || len(got) != len(tt.want) {
				t.Fatalf("answered %d, %d reports, heard %+v", code, len(reports), got)
			}
			for i := range got {
				short(t, got[i])
				got[i].Detail = nil
				if !same(got[i], tt.want[i]) {
					t.Errorf("\n got %+v\nwant %+v", got[i], tt.want[i])
				}
			}
		})
	}
}

func same(a, b mfa.Bulletin) bool {
	return a.At.Equal(b.At) && a.Channel == b.Channel && a.Carrier == b.Carrier && a.Kind == b.Kind && a.Severity == b.Severity &&
		a.Subject == b.Subject && a.Hold == b.Hold && a.Release == b.Release && maps.Equal(a.Detail, b.Detail)
}

// short fails for a bulletin that says more than it should.
func short(t *testing.T, b mfa.Bulletin) {
	t.Helper()
	if len(b.Subject) > 200 || !utf8.ValidString(b.Subject) || len(b.Detail) > 8 || b.Kind == "" || b.Severity == "" {
		t.Errorf("%+v", b)
	}
	for name, value := range b.Detail {
		if len(value) > 64 || value == "" || strings.Trim(value, "…") == "" || strings.Contains(value, "1234567") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s is %q", name, value)
		}
	}
}

func TestATemplateWithOneLanguageHoldsAndReleasesTheCarrierToo(t *testing.T) {
	cfg := config(channeltest.Env{})
	cfg.Languages = []string{"pt_BR"}
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for event, circuits := range map[string][2]string{"PAUSED": {"template/pt_BR", "carrier/meta"}, "APPROVED": {"template/pt_BR", "carrier/meta"}} {
		_, got, _ := heard(t, c, about("message_template_status_update", ofTemplate(`"event":"`+event+`"`)))
		if len(got) != 2 || got[0].Hold+got[0].Release != circuits[0] || got[1].Hold+got[1].Release != circuits[1] {
			t.Fatalf("%s: %+v", event, got)
		}
		if hold := event == "PAUSED"; (got[0].Hold != "") != hold || (got[1].Hold != "") != hold {
			t.Errorf("%s: %+v", event, got)
		}
		if got[0].Subject == got[1].Subject {
			t.Errorf("%s: the second would be taken for a repetition of the first", event)
		}
	}
}

func TestATemplateIDIsNotRounded(t *testing.T) {
	_, got, _ := heard(t, newChannel(t, channeltest.Env{CarrierURL: "https://example.com"}), strings.Replace(
		about("message_template_status_update", ofTemplate(`"event":"PAUSED"`)), "594000000000001", "9007199254740993", 1))
	if len(got) != 1 || got[0].Detail["template_id"] != "9007199254740993" {
		t.Errorf("heard %+v", got)
	}
}

func TestWH04_ABulletinThatCannotBeStoredComesAgain(t *testing.T) {
	w := httptest.NewRecorder()
	newChannel(t, channeltest.Env{CarrierURL: "https://example.com"}).Handler(nil, func(context.Context, []mfa.Bulletin) error {
		return errors.New("the database is away")
	}).ServeHTTP(w, signed(t, "http://example.com/", secrets[channeltest.Current], about("account_update", `{"event":"ACCOUNT_DELETED"}`)))
	if w.Code != http.StatusServiceUnavailable || w.Body.Len() != 0 {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
}

func FuzzNotification(f *testing.F) {
	f.Add(envelope(`"statuses":[{"id":"wamid.1","status":"failed","timestamp":"1","errors":[{"code":131026}]}]`))
	f.Add(envelope(`"messages":[{"type":"button","button":{"payload":"DID_NOT_REQUEST_CODE"},"context":{"id":"wamid.1"}}]`))
	f.Add(envelope(`"errors":[{"code":-1}]`))
	f.Add(about("message_template_status_update", ofTemplate(`"event":"PAUSED","other_info":{"title":"FIRST_PAUSE"}`)))
	f.Add(about("account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_BIZ_INITIATED_MESSAGING"}]}`))
	f.Add(about("security", `{"display_phone_number":"\u0663","event":"\ud800"}`))
	f.Add(about("business_capability_update", `{"max_daily_conversations_per_business":1e999}`))
	f.Add(`{"entry":[{"changes":[null]}]}`)
	f.Add(`[`)
	c, err := whatsapp.New(config(channeltest.Env{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		reports, bulletins, status := heard(t, c, body)
		if status != http.StatusOK && status != http.StatusRequestEntityTooLarge {
			t.Fatalf("answered %d", status)
		}
		if len(reports)+len(bulletins) > mfa.MaxReports {
			t.Fatalf("%d reports, %d bulletins", len(reports), len(bulletins))
		}
		for _, b := range bulletins {
			if len(b.Subject) > 200 || !utf8.ValidString(b.Subject) || b.Kind == "" || b.Severity == "" {
				t.Fatalf("%+v", b)
			}
			if circuit := b.Hold + b.Release; circuit != "" && circuit != "carrier/meta" && !strings.HasPrefix(circuit, "template/") {
				t.Fatalf("%+v", b)
			}
			for name, value := range b.Detail {
				if len(value) > 64 || !utf8.ValidString(value) {
					t.Fatalf("%s is %q", name, value)
				}
			}
		}
	})
}

// Where nobody said which account is ours, another account of the same app must not shut it.
func TestWithoutAnAccountIDNewsOfAnAccountHoldNothing(t *testing.T) {
	cfg := config(channeltest.Env{})
	cfg.AccountID = ""
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"event":"ACCOUNT_DELETED"}`, `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"REINSTATE"}}`} {
		_, got, _ := heard(t, c, about("account_update", body))
		if len(got) != 1 || got[0].Hold != "" || got[0].Release != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

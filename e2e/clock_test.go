package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

// TestREL11_TheClockIsStepped steps the clock of a running provider, in the middle of logins: back by minutes, as a machine
// does that was set wrong, and forward by an hour.
func TestREL11_TheClockIsStepped(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, dsn string) {
		in := harness.Install(t, harness.Options{DSN: dsn})
		in.Run(nil)
		rp, who := in.RelyingParty(harness.WebClient), in.Person("tim")
		// What was used, ended or is over stays so.
		browser, request := in.Browser(), rp.Begin()
		page := browser.Password(request.URL, who)
		passcode := who.Phone.Passcode("whatsapp", 10*time.Second)
		used := rp.AuthCode(t, browser.Press(page, "Continue", "passcode", passcode), request)
		tokens := redeemed(t, rp, used, request)
		rotated, err := rp.Refresh(tokens.Text("refresh_token"))
		must(t, err)
		over, late := in.Browser(), in.Person("lena")
		overdue := over.Password(rp.Begin().URL, late)
		overdue = over.Press(overdue, "Send it by SMS instead") // which is then not owed any more
		missed := late.Phone.Passcode("sms", 10*time.Second)
		in.Forward(in.Config.MFA.PasscodeLife + time.Second)
		over.Press(overdue, "Continue", "passcode", missed).MustSay(t, "expired")

		in.Forward(-30 * time.Minute)
		if next := browser.Press(page, "Continue", "passcode", passcode); next.Stopped && next.URL.Query().Get("code") != "" {
			t.Error("a used passcode works again")
		}
		if next := over.Press(overdue, "Continue", "passcode", missed); next.Stopped {
			t.Error("a passcode that had expired works again")
		}
		// Signing in goes on, and so do deadlines: the SMS follows although the clock is where it was before.
		who.Phone.Forget()
		who.Phone.Switch(`"phone_off":true`)
		browser, request = in.Browser(), rp.Begin()
		page = browser.Password(request.URL, who)
		bySMS := who.Phone.Passcode("sms", 20*time.Second)
		fresh := redeemed(t, rp, rp.AuthCode(t, browser.Press(page, "Continue", "passcode", bySMS), request), request)

		if again, err := rp.Redeem(used, request); err != nil || again.Text("error") != "invalid_grant" {
			t.Errorf("a used AuthCode: %d %v %s", again.Status, err, again.Body)
		}
		if again, err := rp.Refresh(tokens.Text("refresh_token")); err != nil || again.Text("error") != "invalid_grant" {
			t.Errorf("a rotated refresh token: %d %v %s", again.Status, err, again.Body)
		}
		if info, err := rp.UserInfo(rotated.Text("access_token")); err != nil || info.Status != http.StatusUnauthorized {
			t.Errorf("an access token of the family that was used twice: %d %v", info.Status, err)
		}

		// Forward, things end early at most, and nothing refuses to begin.
		in.Forward(time.Hour + 30*time.Minute)
		if info, err := rp.UserInfo(fresh.Text("access_token")); err != nil || info.Status != http.StatusUnauthorized {
			t.Errorf("an access token an hour later: %d %v", info.Status, err)
		}
		who.Phone.Switch("")
		who.Phone.Forget()
		browser, request = in.Browser(), rp.Begin()
		redeemed(t, rp, rp.AuthCode(t, browser.Login(request.URL, who, "whatsapp"), request), request)
		holds(t, in)
	})
}

func redeemed(t *testing.T, rp *harness.RelyingParty, authCode string, a harness.Authorization) harness.Answer {
	t.Helper()
	answer, err := rp.Redeem(authCode, a)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("redeem: %d %v %s", answer.Status, err, answer.Body)
	}
	return answer
}

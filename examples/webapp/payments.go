package webapp

import (
	"net/http"
	"net/url"
	"time"
)

// paymentACR is what this application asks for before money moves: a code that no text message has carried.
const paymentACR = acrPhoneNoSMS

// payment is one pretend payment, with the acr that allowed it.
type payment struct {
	At    time.Time `json:"at"`
	To    string    `json:"to"`
	Cents int64     `json:"cents"`
	ACR   string    `json:"acr"`
}

// maxPayments bounds what is kept in a session.
const maxPayments = 10

type paymentsPage struct {
	frame
	SignedIn bool
	Allowed  bool
	BySMS    bool // the last code went out by SMS
	Current  level
	Required level
	StepUp   string // link
	Payments []payment
}

// payments explains the rule and lets those pay who meet it.
func (a *app) payments(w http.ResponseWriter, r *http.Request) {
	a.showPayments(w, r, http.StatusOK)
}

func (a *app) showPayments(w http.ResponseWriter, r *http.Request, status int) {
	page := paymentsPage{
		frame:    a.frame(r, "Payments", "/payments"),
		Required: levelOf(paymentACR),
		StepUp:   stepUpURL("essential_acr", paymentACR, "/payments"),
	}
	if acct := a.account(r.Context()); acct != nil {
		c := parseClaims(acct.Claims)
		page.SignedIn = true
		page.Allowed = acrMeets(c.ACR, paymentACR)
		page.BySMS = c.MFAChannel == "sms"
		page.Current = levelOf(c.ACR)
		page.Payments = acct.Payments
	}
	a.render(w, status, "payments", page)
}

// pay checks the acr itself, at the moment of paying: that the page with the button was shown proves nothing.
func (a *app) pay(w http.ResponseWriter, r *http.Request) {
	acct := a.account(r.Context())
	if acct == nil || !acrMeets(parseClaims(acct.Claims).ACR, paymentACR) {
		a.showPayments(w, r, http.StatusForbidden)
		return
	}
	paid := payment{At: a.cfg.Now(), To: "Trattoria da Nina", Cents: 2500, ACR: parseClaims(acct.Claims).ACR}
	acct.Payments = append([]payment{paid}, acct.Payments...)
	acct.Payments = acct.Payments[:min(len(acct.Payments), maxPayments)]
	if err := a.putAccount(r.Context(), acct); err != nil {
		a.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/payments", http.StatusSeeOther)
}

// stepUpURL is a link that asks for acr and comes back to next.
func stepUpURL(option, acr, next string) string {
	return "/login?" + url.Values{option: {acr}, "next": {next}}.Encode()
}

package webapp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAPIAnswer bounds what is read of the API's answer, in bytes.
const maxAPIAnswer = 64 << 10

// apiAnswer is what the resource server said, as the page shows it.
type apiAnswer struct {
	Request   string // method and path
	Status    string
	Challenge string // WWW-Authenticate as received; empty when there was none
	Body      string

	code   int
	bearer map[string]string
}

// Refused reports whether the API did not do what it was asked.
func (answer apiAnswer) Refused() bool { return answer.code >= http.StatusBadRequest }

type balancePage struct {
	frame
	SignedIn bool
	Current  level
	Answer   *apiAnswer
	StepUp   string // link; empty unless the API asked for a stronger login
	Asked    string // the acr_values that it asked for
}

// balance reads the account at the resource server with this person's access token.
func (a *app) balance(w http.ResponseWriter, r *http.Request) {
	a.showAPIAnswer(w, r, http.MethodGet, "/balance", nil)
}

// payThroughAPI lets the resource server decide whether this login is strong enough to pay.
func (a *app) payThroughAPI(w http.ResponseWriter, r *http.Request) {
	a.showAPIAnswer(w, r, http.MethodPost, "/payments", map[string]any{"to": "Trattoria da Nina", "amount": 2500})
}

func (a *app) showAPIAnswer(w http.ResponseWriter, r *http.Request, method, path string, body any) {
	page := balancePage{frame: a.frame(r, "Balance", "/balance")}
	acct := a.account(r.Context())
	if acct == nil {
		a.render(w, http.StatusOK, "balance", page)
		return
	}
	if err := a.fresh(r.Context(), acct); err != nil {
		a.refreshFailed(w, r, err)
		return
	}
	answer, err := a.callAPI(r.Context(), acct.AccessToken, method, path, body)
	if err != nil {
		a.cfg.Log.Error("the API is unavailable", "err", err)
		a.problem(w, r, http.StatusServiceUnavailable, problemPage{
			Headline: "The API does not answer",
			Text:     "The resource server of this example could not be reached.",
			Retry:    "/balance",
		})
		return
	}
	page.SignedIn = true
	page.Current = levelOf(parseClaims(acct.Claims).ACR)
	page.Answer = answer
	page.Asked, page.StepUp = stepUpFor(answer)
	a.render(w, http.StatusOK, "balance", page)
}

// stepUpFor is the client's half of RFC 9470: what the API asked for is what the provider will be asked for (§4). A
// person presses the button, so that an API which is never satisfied cannot send them round and round.
func stepUpFor(answer *apiAnswer) (acrValues, link string) {
	if answer.code != http.StatusUnauthorized || answer.bearer["error"] != "insufficient_user_authentication" {
		return "", ""
	}
	link = stepUpURL("acr_values", answer.bearer["acr_values"], "/balance")
	if maxAge := answer.bearer["max_age"]; maxAge != "" {
		link += "&" + url.Values{"max_age": {maxAge}}.Encode()
	}
	return answer.bearer["acr_values"], link
}

func (a *app) callAPI(ctx context.Context, accessToken, method, path string, body any) (*apiAnswer, error) {
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.cfg.APIURL, "/")+path, &payload)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAPIAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	challenge := strings.Join(resp.Header.Values("WWW-Authenticate"), ", ")
	return &apiAnswer{
		Request:   method + " " + path,
		Status:    resp.Status,
		Challenge: challenge,
		Body:      indented(text),
		code:      resp.StatusCode,
		bearer:    parseBearerChallenge(challenge),
	}, nil
}

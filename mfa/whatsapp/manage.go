package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/mfa"
)

// maxPage bounds what is read of one answer of the management calls.
const maxPage = 2 << 20

// ManagerConfig says which account is managed.
type ManagerConfig struct {
	// BaseURL is the Graph API; default https://graph.facebook.com. Version is as in Config.
	BaseURL, Version string
	// AccessToken is a system user's, with whatsapp_business_management.
	AccessToken string
	// AccountID is the WhatsApp Business Account (WABA), which owns templates and numbers.
	AccountID string
	// PhoneNumberID is the business number's.
	PhoneNumberID string
	// AppID is the app whose webhooks are ours. Empty takes the token's.
	AppID string
	// HTTPClient carries the calls; redirects are never followed. Nil is a default one that waits 20 s.
	HTTPClient *http.Client
	Clock      clock.Clock
}

// Manager looks after templates, number and webhook subscription for the command line. It is not used by a login. Its
// errors are *GraphError where Meta answered.
type Manager struct {
	cfg        ManagerConfig
	base       string
	httpClient *http.Client
}

// NewManager returns a Manager, or says what is missing in the configuration.
func NewManager(c ManagerConfig) (*Manager, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 20 * time.Second}
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	var errs []error
	for sentence, ok := range map[string]bool{
		"set the Graph API version, such as v25.0":                                           versionForm.MatchString(c.Version),
		"set the access token of a system user":                                              c.AccessToken != "",
		"set the account id: digits, the WhatsApp Business Account's, from WhatsApp Manager": idForm.MatchString(c.AccountID),
		"set the phone number id: digits, from WhatsApp Manager, not the number itself":      idForm.MatchString(c.PhoneNumberID),
		"the app id is digits": c.AppID == "" || idForm.MatchString(c.AppID),
	} {
		if !ok {
			errs = append(errs, errors.New(sentence))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("whatsapp: %w", err)
	}
	return &Manager{
		cfg: c, base: strings.TrimSuffix(c.BaseURL, "/") + "/" + c.Version + "/", httpClient: mfa.CarrierClient(c.HTTPClient),
	}, nil
}

// page is one answer of the API and the version that gave it.
type page struct {
	body    []byte
	version string
}

func (m *Manager) get(ctx context.Context, path string, query url.Values, into any) (page, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return m.call(ctx, http.MethodGet, path, nil, into)
}

func (m *Manager) post(ctx context.Context, path string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	_, err = m.call(ctx, http.MethodPost, path, encoded, into)
	return err
}

// call makes one call and decodes its answer into a value that is not nil. Errors name neither the URL, whose query may
// hold a token, nor the token.
func (m *Manager) call(ctx context.Context, method, path string, body []byte, into any) (page, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, bytes.NewReader(body))
	if err != nil {
		return page{}, errors.New("make request to the Graph API")
	}
	req.Header.Set("Authorization", "Bearer "+m.cfg.AccessToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := m.httpClient.Do(req)
	if err != nil {
		return page{}, fmt.Errorf("call the Graph API: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	p := page{version: resp.Header.Get("facebook-api-version")}
	if p.body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage)); err != nil {
		return page{}, fmt.Errorf("read the Graph API's answer: %w", withoutURL(err))
	}
	var refused struct {
		Error *wireError `json:"error"`
	}
	isJSON := json.Unmarshal(p.body, &refused) == nil
	switch {
	case isJSON && refused.Error != nil:
		return p, refused.Error.graphError(resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return p, fmt.Errorf("the Graph API answered %d without an error of its own", resp.StatusCode)
	case !isJSON:
		return p, errors.New("the Graph API answered with something that is no JSON")
	case into == nil:
		return p, nil
	}
	if err := json.Unmarshal(p.body, into); err != nil {
		return p, fmt.Errorf("understand the Graph API's answer: %w", err)
	}
	return p, nil
}

func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// success is the answer of calls that only do something.
type success struct {
	Success bool `json:"success"`
}

// do makes a call that Meta must call a success.
func (m *Manager) do(ctx context.Context, path string, body any) error {
	var s success
	if err := m.post(ctx, path, body, &s); err != nil {
		return err
	}
	if !s.Success {
		return errors.New("the Graph API did not say that it succeeded")
	}
	return nil
}

package handset

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Account is how the business stands with Meta, apart from its templates: what `GET /meta` shows and `PATCH /meta` changes.
// Where it is not a good day, sends and management calls fail as Meta's would.
type Account struct {
	// Token: "" is good, "expired" is refused with 190, "no_messaging" and "no_management" lack a permission (200).
	Token string `json:"token"`
	// TokenExpiresAt is in Unix seconds; 0 is never.
	TokenExpiresAt int64 `json:"token_expires_at"`
	// Registered: the number may send. Without it sends are refused with 133010.
	Registered bool `json:"registered"`
	// Verified: the number has been proved by a code; only then it can be registered.
	Verified bool `json:"verified"`
	// NumberStatus overrides CONNECTED and DISCONNECTED, which follow from Registered. Anything else is refused with 131031.
	NumberStatus string `json:"number_status"`
	Quality      string `json:"quality"`
	NameStatus   string `json:"name_status"`
	Limit        string `json:"limit"`
	// Health is health_status: AVAILABLE, LIMITED or BLOCKED.
	Health string `json:"health"`
	// APIVersion is the facebook-api-version of answers where it is not the version that was asked for.
	APIVersion string `json:"api_version"`
	// IdentityCheck adds recipient_identity_key_hash to the sent status.
	IdentityCheck bool `json:"identity_check"`
	// Subscribed: the app gets the account's webhooks. Without it none is posted.
	Subscribed bool `json:"subscribed"`
	// CallbackURL overrides the webhook URL, as subscribed_apps can.
	CallbackURL string `json:"callback_url"`
}

var (
	tokenValues  = []string{"", "expired", "no_messaging", "no_management"}
	healthValues = []string{"AVAILABLE", "LIMITED", "BLOCKED"}
	statusValues = []string{
		"", "CONNECTED", "DISCONNECTED", "PENDING", "FLAGGED", "RESTRICTED", "RATE_LIMITED", "MIGRATED", "BANNED", "UNVERIFIED", "DELETED",
	}
)

func (a Account) check() error {
	for _, c := range []struct {
		name, value string
		values      []string
	}{
		{"token", a.Token, tokenValues},
		{"number_status", a.NumberStatus, statusValues},
		{"quality", a.Quality, []string{"GREEN", "YELLOW", "RED", "UNKNOWN"}},
		{"name_status", a.NameStatus, []string{"APPROVED", "AVAILABLE_WITHOUT_REVIEW", "DECLINED", "EXPIRED", "PENDING_REVIEW", "NONE"}},
		{"limit", a.Limit, []string{"TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED"}},
		{"health", a.Health, healthValues},
	} {
		if !slices.Contains(c.values, c.value) {
			return fmt.Errorf("%s must be one of %q", c.name, c.values)
		}
	}
	if a.CallbackURL != "" {
		return checkURL(a.CallbackURL)
	}
	return nil
}

func (a Account) status() string {
	switch {
	case a.NumberStatus != "":
		return a.NumberStatus
	case a.Registered:
		return "CONNECTED"
	default:
		return "DISCONNECTED"
	}
}

// metaAccount is all that Meta keeps of the business. It is guarded by Handset.mu.
type metaAccount struct {
	Account
	templates []*metaTemplate
	made      int // templates so far, for their ids
	deleted   map[string]bool

	pin           string // two-step verification; "" until one is set
	wrongPINs     int
	pinBlocked    time.Time // no PIN is looked at before
	registrations []time.Time
	proof         string // the code that was sent to the number

	windows    map[string]time.Time // when a person last wrote, by number: 24 hours in which texts may be sent
	identities map[string]int       // how often the account behind a number has changed
}

func newMetaAccount(cfg Config) *metaAccount {
	a := &metaAccount{
		Account: Account{
			Registered: true, Verified: true, Quality: "GREEN", NameStatus: "APPROVED", Limit: "TIER_2K", Health: "AVAILABLE",
			IdentityCheck: cfg.IdentityCheck, Subscribed: true,
		},
		deleted: map[string]bool{}, windows: map[string]time.Time{}, identities: map[string]int{},
	}
	for _, t := range cfg.Templates {
		for _, lang := range t.Languages {
			a.add(metaTemplate{
				Name: t.Name, Language: lang, Status: "APPROVED", Category: "AUTHENTICATION", Quality: "GREEN",
				ttl: t.TTL, ExpiryMinutes: t.ExpiryMinutes, Security: true,
			})
		}
	}
	return a
}

func (a *metaAccount) add(t metaTemplate) *metaTemplate {
	a.made++
	t.ID = strconv.Itoa(594000000000000 + a.made)
	a.templates = append(a.templates, &t)
	return &t
}

func (a *metaAccount) template(name, language string) *metaTemplate {
	for _, t := range a.templates {
		if t.Name == name && t.Language == language {
			return t
		}
	}
	return nil
}

// refusesSend is why Meta does not take a message now, whatever the message.
func (a *metaAccount) refusesSend() *graphError {
	switch {
	case a.Token == "expired":
		return badToken()
	case a.Token == "no_messaging":
		return noPermission()
	case a.status() == "DISCONNECTED":
		return graphFault(133010, "")
	case a.status() != "CONNECTED":
		return graphFault(131031, "")
	}
	return nil
}

// getMeta shows the account and its templates.
func (h *Handset) getMeta(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	views := []templateView{}
	for _, t := range h.meta.templates {
		views = append(views, t.view())
	}
	writeJSON(w, http.StatusOK, map[string]any{"account": h.meta.Account, "templates": views})
}

// patchMeta changes what is named of the account.
func (h *Handset) patchMeta(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, apiBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, errors.New("the body is too large"))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := h.meta.Account
	if err = readJSON(raw, &changed); err == nil {
		err = changed.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	h.meta.Account = changed
	writeJSON(w, http.StatusOK, changed)
}

// patchTemplates changes what is named of the templates that a name and a language (empty: every one) choose.
func (h *Handset) patchTemplates(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, apiBody))
	var in struct {
		Name     string   `json:"name"`
		Language string   `json:"language"`
		Status   *string  `json:"status"`
		Category *string  `json:"category"`
		Quality  *string  `json:"quality"`
		TTL      *float64 `json:"ttl_seconds"`
		Expiry   *int     `json:"expiry_minutes"`
		Security *bool    `json:"security_recommendation"`
	}
	if err == nil {
		err = readJSON(raw, &in)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	views := []templateView{}
	for _, t := range h.meta.templates {
		if in.Name != "" && t.Name != in.Name || in.Language != "" && t.Language != in.Language {
			continue
		}
		set(&t.Status, in.Status)
		set(&t.Category, in.Category)
		set(&t.Quality, in.Quality)
		set(&t.ExpiryMinutes, in.Expiry)
		set(&t.Security, in.Security)
		if in.TTL != nil {
			t.ttl = seconds(*in.TTL)
		}
		views = append(views, t.view())
	}
	if len(views) == 0 {
		refuse(w, http.StatusNotFound, errors.New("no such template"))
		return
	}
	writeJSON(w, http.StatusOK, views)
}

func set[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// deleteMeta puts the account and its templates back to what the configuration says.
func (h *Handset) deleteMeta(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.meta = newMetaAccount(h.cfg)
	w.WriteHeader(http.StatusNoContent)
}

// postIdentity is another WhatsApp account behind a number: a new phone, an installation from scratch, or a new owner.
func (h *Handset) postIdentity(w http.ResponseWriter, r *http.Request) {
	in, ok := ref(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.meta.identities[in.Phone]; !known && len(h.meta.identities) >= maxMessages {
		refuse(w, http.StatusConflict, errTooMany)
		return
	}
	h.meta.identities[in.Phone]++
	w.WriteHeader(http.StatusNoContent)
}

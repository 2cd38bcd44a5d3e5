package app

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// Export is everything that is kept of a person, for them (DAT-07). docs/operations.md explains it.
type Export struct {
	Issuer     string              `json:"issuer"`
	At         time.Time           `json:"exported_at"`
	Person     ExportedPerson      `json:"person"`
	Phone      *ExportedPhone      `json:"phone,omitempty"`
	Sessions   []Session           `json:"sessions"`
	Grants     []ExportedGrant     `json:"grants"`
	Consents   []ExportedConsent   `json:"consents"`
	Challenges []ExportedChallenge `json:"challenges"`
	Events     []EventView         `json:"events"`
}

// ExportedPerson is the profile. Of the password there is no more to give than that there is one.
type ExportedPerson struct {
	ID              string    `json:"sub"`
	Username        string    `json:"username"`
	Claims          Claims    `json:"claims"`
	SMSForbidden    bool      `json:"sms_forbidden"`
	HasPassword     bool      `json:"has_password"`
	PasswordChanged time.Time `json:"password_changed_at,omitzero"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	DisabledAt      time.Time `json:"disabled_at,omitzero"`
}

// ExportedPhone is the phone, with the whole number: it is the person's own.
type ExportedPhone struct {
	Number string `json:"phone_number"`
	Phone
	BoundToWhatsApp bool      `json:"bound_to_whatsapp_account"`
	CreatedAt       time.Time `json:"created_at"`
}

// ExportedGrant is what an application was given.
type ExportedGrant struct {
	ID           string    `json:"id"`
	ClientID     string    `json:"client_id"`
	SessionID    string    `json:"sid,omitempty"`
	Scopes       []string  `json:"scopes"`
	Audience     []string  `json:"audience,omitempty"`
	AuthTime     time.Time `json:"auth_time"`
	ACR          string    `json:"acr"`
	AMR          []string  `json:"amr"`
	Channel      string    `json:"mfa_channel,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
	RefreshUntil time.Time `json:"refresh_until,omitzero"`
	RevokedAt    time.Time `json:"revoked_at,omitzero"`
	RevokeReason string    `json:"revoke_reason,omitempty"`
}

// ExportedConsent is what the person allowed an application.
type ExportedConsent struct {
	ClientID  string    `json:"client_id"`
	Scopes    []string  `json:"scopes"`
	GrantedAt time.Time `json:"granted_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// ExportedChallenge is a second factor that has not been swept yet, with its messages.
type ExportedChallenge struct {
	ID         string            `json:"id"`
	Purpose    string            `json:"purpose"`
	ClientID   string            `json:"client_id"`
	Locale     string            `json:"locale"`
	SourceAddr string            `json:"source_addr"`
	CreatedAt  time.Time         `json:"created_at"`
	ExpiresAt  time.Time         `json:"expires_at"`
	EndedAt    time.Time         `json:"ended_at,omitzero"`
	EndedAs    string            `json:"ended_as,omitempty"`
	Tries      int               `json:"tries"`
	Messages   []ExportedMessage `json:"messages"`
}

// ExportedMessage is a message to the phone: a passcode, or a notice of the kind that it names.
type ExportedMessage struct {
	Notice      string    `json:"notice,omitempty"`
	Channel     string    `json:"channel"`
	Carrier     string    `json:"carrier"`
	State       string    `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	SentAt      time.Time `json:"sent_at,omitzero"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	ReadAt      time.Time `json:"read_at,omitzero"`
}

// exportAtOnce is how many events are read in one go.
const exportAtOnce = 10000

// ExportUser returns everything that is kept of a person. The event of it is written before anything is given, with the
// reason, and is in the export.
func (b *Base) ExportUser(ctx context.Context, nameOrID, reason string) (Export, error) {
	if !displayable(reason, "") {
		return Export{}, refuse("a reason for the export is needed: it is written to the audit log")
	}
	p, _, err := b.person(ctx, nameOrID)
	if err != nil {
		return Export{}, err
	}
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		return b.write(ctx, storage.Event{Kind: audit.AccountExported, PersonID: p.ID, ActorID: actor,
			Data: map[string]string{"reason": reason}})
	})
	if err != nil {
		return Export{}, fmt.Errorf("note the export: %w", err)
	}
	r, err := b.store.PersonRecords(ctx, p.ID)
	if err != nil {
		return Export{}, fmt.Errorf("export user: %w", err)
	}
	x := Export{Issuer: b.config.Issuer, At: b.clock.Now(), Sessions: []Session{}, Grants: []ExportedGrant{},
		Consents: []ExportedConsent{}, Challenges: exportedChallenges(r)}
	if x.Person, x.Phone, err = b.exportedPerson(r); err != nil {
		return Export{}, fmt.Errorf("export user: %w", err)
	}
	for _, s := range r.Sessions {
		x.Sessions = append(x.Sessions, sessionView(s, r.Person.Username))
	}
	for _, g := range r.Grants {
		x.Grants = append(x.Grants, ExportedGrant{ID: g.ID, ClientID: g.ClientID, SessionID: g.SessionID, Scopes: g.Scopes,
			Audience: g.Audience, AuthTime: g.Login.AuthTime, ACR: g.Login.ACR, AMR: g.Login.AMR, Channel: g.Login.Channel,
			CreatedAt: g.CreatedAt, RefreshUntil: g.RefreshUntil, RevokedAt: g.RevokedAt, RevokeReason: g.RevokeReason})
	}
	for _, c := range r.Consents {
		x.Consents = append(x.Consents, ExportedConsent{ClientID: c.ClientID, Scopes: c.Scopes, GrantedAt: c.GrantedAt, ExpiresAt: c.ExpiresAt})
	}
	x.Events, err = b.exportedEvents(ctx, p.ID)
	return x, err
}

func (b *Base) exportedPerson(r storage.PersonRecords) (ExportedPerson, *ExportedPhone, error) {
	p := r.Person
	claims, err := openClaims(b.keys, p)
	if err != nil {
		return ExportedPerson{}, nil, err
	}
	person := ExportedPerson{ID: p.ID, Username: p.Username, Claims: claims, SMSForbidden: p.SMSForbidden,
		HasPassword: r.Password.Hash != "", PasswordChanged: r.Password.UpdatedAt, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		DisabledAt: p.DisabledAt}
	if r.Phone.ID == "" {
		return person, nil, nil
	}
	number, err := mfa.OpenPhone(b.keys, r.Phone)
	if err != nil {
		return ExportedPerson{}, nil, err
	}
	return person, &ExportedPhone{Number: number.Reveal(), Phone: phoneView(r.Phone), BoundToWhatsApp: len(r.Phone.Identity) > 0,
		CreatedAt: r.Phone.CreatedAt}, nil
}

func exportedChallenges(r storage.PersonRecords) []ExportedChallenge {
	messages := make(map[string][]ExportedMessage)
	for _, d := range r.Deliveries {
		messages[d.ChallengeID] = append(messages[d.ChallengeID], ExportedMessage{Channel: string(d.Channel), Carrier: d.Carrier,
			State: string(d.State), CreatedAt: d.CreatedAt, SentAt: d.SentAt, DeliveredAt: d.DeliveredAt, ReadAt: d.ReadAt})
	}
	for _, n := range r.Notices {
		messages[n.ChallengeID] = append(messages[n.ChallengeID], ExportedMessage{Notice: string(n.Kind), Channel: string(n.Channel),
			Carrier: n.Carrier, State: string(n.State), CreatedAt: n.CreatedAt})
	}
	list := []ExportedChallenge{}
	for _, c := range r.Challenges {
		list = append(list, ExportedChallenge{ID: c.ID, Purpose: string(c.Purpose), ClientID: c.ClientID, Locale: c.Locale,
			SourceAddr: c.SourceAddr, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, EndedAt: c.EndedAt, EndedAs: string(c.End),
			Tries: c.Tries, Messages: messages[c.ID]})
	}
	return list
}

func (b *Base) exportedEvents(ctx context.Context, personID string) ([]EventView, error) {
	list := []EventView{}
	for after := ""; ; {
		page, err := b.store.ListEvents(ctx, storage.EventFilter{PersonID: personID, AfterID: after, Limit: exportAtOnce})
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		for _, e := range page {
			list = append(list, ViewEvent(e))
		}
		if len(page) < exportAtOnce {
			return list, nil
		}
		after = page[len(page)-1].ID
	}
}

package storagetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

// The fixtures return whole records, every field set, and the seeds store them with what they belong to.

func personRecord() storage.Person {
	id := storage.NewID()
	return storage.Person{
		ID: id, Username: "ada-" + id, Claims: json.RawMessage(`{"name":"Ada Lovelace"}`), SMSForbidden: true,
		CreatedAt: noon, UpdatedAt: noon.Add(time.Millisecond),
	}
}

func phoneRecord(personID string) storage.PhoneFactor {
	return storage.PhoneFactor{
		ID: storage.NewID(), PersonID: personID, Sealed: []byte{0, 1, 0xff}, Hash: "hash of " + personID, Country: "IT",
		LastTwo: "67", VerifiedAt: noon, CreatedAt: noon, Failures: 2, NoWhatsAppUntil: noon.Add(time.Hour), LastUsedAt: noon,
		Identity: []byte{7, 0, 0xfe},
	}
}

func clientRecord() storage.Client {
	age := int64(600)
	return storage.Client{
		ID: storage.NewID(), Name: "Shop", RedirectURIs: []string{"https://shop.example/cb"}, AuthMethod: "client_secret_basic",
		Secrets: []storage.ClientSecret{{Hash: "hmac:x", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}},
		JWKS:    json.RawMessage(`{"keys":[]}`), IDTokenAlg: "ES256", DefaultMaxAge: &age, FirstParty: true,
		Introspects: []string{"https://api.example"}, CreatedAt: noon, UpdatedAt: noon,
	}
}

func authRequestRecord() storage.AuthRequest {
	age := int64(0)
	return storage.AuthRequest{
		ID: storage.NewID(), ClientID: "shop", BrowserHash: []byte{1, 2, 3}, CorrelationID: "corr", CreatedAt: noon,
		ExpiresAt: noon.Add(30 * time.Minute),
		Request:   storage.AuthRequestParams{Form: "a=b", State: "s\x00t", Scopes: []string{"openid"}, MaxAge: &age},
		Progress: storage.AuthRequestProgress{PersonID: "p", PasswordAt: noon.Add(time.Second),
			Issued: &storage.IssuedAuthCode{GrantID: "g", KeyID: "k", Nonce: []byte{0, 255}}},
	}
}

func sessionRecord(personID string) storage.Session {
	id := storage.NewID()
	return storage.Session{
		ID: id, TokenHash: "token of " + id, PersonID: personID, AuthTime: noon, ACR: "urn:parola:acr:phone",
		AMR: []string{"pwd", "otp"}, Channel: "whatsapp", CreatedAt: noon, LastSeenAt: noon, ExpiresAt: noon.Add(8 * time.Hour),
		UserAgent: "Mozilla", SourceAddr: "192.0.2.1",
	}
}

// grantRecord is of no session: one that is named has to exist and be open.
func grantRecord(clientID, personID string) storage.Grant {
	id := storage.NewID()
	return storage.Grant{
		ID: id, ClientID: clientID, PersonID: personID, AuthRequestID: "ar", CorrelationID: "corr",
		Scopes: []string{"openid", "profile"}, Audience: []string{"https://api.example"},
		Login: storage.GrantLogin{AuthTime: noon, ACR: "urn:parola:acr:phone", AMR: []string{"pwd"}, Channel: "sms"},
		Form:  "redirect_uri=x", AuthCodeHash: "authcode of " + id, AuthCodeExpiresAt: noon.Add(time.Minute), CreatedAt: noon,
		RefreshUntil: noon.Add(30 * 24 * time.Hour),
	}
}

func tokenRecord(kind storage.TokenKind, g storage.Grant) storage.Token {
	return storage.Token{
		Hash: storage.NewID(), Kind: kind, GrantID: g.ID, ClientID: g.ClientID, JTI: storage.NewID(), Scopes: g.Scopes,
		Audience: g.Audience, IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
	}
}

func challengeRecord() storage.Challenge {
	return storage.Challenge{
		ID: storage.NewID(), PersonID: "p", PhoneID: "f", AuthRequestID: storage.NewID(), Purpose: storage.PurposeLogin,
		Nonce: []byte{9, 9}, BrowserHash: []byte{1}, DetailsHash: []byte{2}, KeyID: "k", ClientID: "shop",
		CorrelationID: "corr", SourceAddr: "192.0.2.1", Locale: "it",
		PhoneHash: "h", PhoneCountry: "IT", PhoneLastTwo: "67", PhonePrefix: "+39333", SMSRefused: "budget",
		Trace:     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Policy:    storage.ChallengePolicy{Fallback: "allow", NotDeliveredAfter: 35 * time.Second, MaxMessages: 4, WhatsAppFirst: true},
		CreatedAt: noon, ExpiresAt: noon.Add(5 * time.Minute), MaxTries: 5, DueAt: noon.Add(20 * time.Second),
	}
}

func deliveryRecord(challengeID string) storage.Delivery {
	return storage.Delivery{
		ID: storage.NewID(), ChallengeID: challengeID, Channel: storage.WhatsApp, Carrier: "meta", Trigger: "first",
		State: storage.DeliveryQueued, CreatedAt: noon, DueAt: noon, Tried: []string{"vonage", "infobip"}, Cost: 712,
		Identity: []byte{0, 0xff}, Trace: "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
	}
}

func seedPerson(t testing.TB, s storage.Store) storage.Person {
	t.Helper()
	p := personRecord()
	write(t, s, func(ctx context.Context) error { return s.InsertPerson(ctx, p) })
	return p
}

func seedPhone(t testing.TB, s storage.Store, personID string) storage.PhoneFactor {
	t.Helper()
	f := phoneRecord(personID)
	write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
	return f
}

func seedClient(t testing.TB, s storage.Store) storage.Client {
	t.Helper()
	c := clientRecord()
	write(t, s, func(ctx context.Context) error { return s.InsertClient(ctx, c) })
	return c
}

func seedSession(t testing.TB, s storage.Store, personID string) storage.Session {
	t.Helper()
	x := sessionRecord(personID)
	write(t, s, func(ctx context.Context) error { return s.InsertSession(ctx, x) })
	return x
}

func seedGrant(t testing.TB, s storage.Store) storage.Grant {
	t.Helper()
	return seedGrantOf(t, s, seedPerson(t, s).ID)
}

func seedGrantOf(t testing.TB, s storage.Store, personID string) storage.Grant {
	t.Helper()
	g := grantRecord(seedClient(t, s).ID, personID)
	g.SessionID = seedSession(t, s, personID).ID
	write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, g) })
	return g
}

func seedChallenge(t testing.TB, s storage.Store) storage.Challenge {
	t.Helper()
	c := challengeRecord()
	write(t, s, func(ctx context.Context) error { return s.InsertChallenge(ctx, c) })
	return c
}

func seedDelivery(t testing.TB, s storage.Store) storage.Delivery {
	t.Helper()
	d := deliveryRecord(seedChallenge(t, s).ID)
	write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, d) })
	return d
}

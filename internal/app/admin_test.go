package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

var epoch = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// openBase opens a fresh database whose clock stands still until it is moved.
func openBase(t testing.TB, change ...func(*Config)) (*Base, *clock.Manual) {
	t.Helper()
	c := complete()
	c.Database.Path = storagetest.SQLiteFile(t)
	c.Database.Synchronous = "NORMAL"
	for _, f := range change {
		f(&c)
	}
	now := clock.NewManual(epoch)
	b, err := Open(context.Background(), c, Options{Release: "test", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, now
}

// onEach runs a test on both databases; on PostgreSQL a refused statement ends the transaction, so that an import must
// look before it writes.
func onEach(t *testing.T, run func(t *testing.T, b *Base)) {
	t.Run("sqlite", func(t *testing.T) {
		b, _ := openBase(t)
		run(t, b)
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := storagetest.PostgresDSN(t)
		b, _ := openBase(t, func(c *Config) { c.Database.Driver, c.Database.DSN = "postgres", NewSecret(dsn) })
		run(t, b)
	})
}

func addAda(t testing.TB, b *Base) storage.Person {
	t.Helper()
	p, err := b.AddUser(t.Context(), NewUser{
		Username: "Ada", Password: "correct horse battery", Phone: "+39 347 123 4567", PhoneVerified: true,
		Claims: Claims{"name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kinds are the events of a person in order, without those that name no person.
func kinds(t testing.TB, b *Base, f storage.EventFilter) []string {
	t.Helper()
	events, err := b.store.ListEvents(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range events {
		if e.ActorID != actor {
			t.Errorf("event %s was written by %q", e.Kind, e.ActorID)
		}
		list = append(list, e.Kind)
	}
	slices.Sort(list) // events of one millisecond have no order
	return list
}

func TestAddUserStoresFactorsAndEventsTogether(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	_, f, err := b.store.PersonByUsername(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	result, err := b.hasher.Check(t.Context(), f.Password, "correct horse battery", false)
	if err != nil || !result.OK || result.Rehash != nil {
		t.Errorf("check of the new password: %+v, %v", result, err)
	}
	u, err := b.User(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if u.Phone == nil || u.Phone.Number != "IT …67" || !u.Phone.VerifiedAt.Equal(epoch) || !u.Password || u.State != "active" {
		t.Errorf("user is %+v, phone %+v", u, u.Phone)
	}
	want := []string{audit.AccountCreated, audit.PhoneBound}
	if got := kinds(t, b, storage.EventFilter{PersonID: p.ID}); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestAddUserRefusesWithASentence(t *testing.T) {
	b, _ := openBase(t, func(c *Config) { c.MFA.Countries = []string{"IT"} })
	ada := addAda(t, b)
	c, _, err := b.AddClient(t.Context(), ClientMetadata{ClientName: "App", RedirectURIs: []string{"https://app.test/cb"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user NewUser
		want string
	}{
		"taken name in other case":      {NewUser{Username: "ADA"}, `already`},
		"no name":                       {NewUser{}, "username"},
		"name with a direction mark":    {NewUser{Username: "b\u202eob"}, "username"},
		"sub of another":                {NewUser{Username: "bob", ID: ada.ID}, "another user's"},
		"OA-38 sub that is a client id": {NewUser{Username: "bob", ID: c.ID}, "id of a client"},
		"sub with a space":              {NewUser{Username: "bob", ID: "a b"}, "sub must have"},
		"PW-01 short password":          {NewUser{Username: "bob", Password: "short"}, "at least 10"},
		"PW-05 common password":         {NewUser{Username: "bob", Password: "1234567890"}, "common and stolen"},
		"PW-05 password is the name":    {NewUser{Username: "bob.builder", Password: "Bob.Builder"}, "user name"},
		"both kinds of password":        {NewUser{Username: "bob", Password: "correct horse battery", PasswordHash: "$2b$"}, "give one"},
		"hash of unknown kind":          {NewUser{Username: "bob", PasswordHash: "$md5$x$y"}, "unknown kind"},
		"phone without country":         {NewUser{Username: "bob", Phone: "347 123 4567"}, "country code"},
		"OTP-26 service number":         {NewUser{Username: "bob", Phone: "+39 899 123 456"}, "phone number refused"},
		"OTP-26 country not listed":     {NewUser{Username: "bob", Phone: "+49 1512 3456789"}, "mfa.countries"},
		"unknown claim":                 {NewUser{Username: "bob", Claims: Claims{"role": "admin"}}, "not a claim"},
		"name with control characters":  {NewUser{Username: "bob", Claims: Claims{"name": "Bob\x1b[2J"}}, "name must be"},
		"malformed mail address":        {NewUser{Username: "bob", Claims: Claims{"email": "Bob <bob@x.test>"}}, "email must be"},
		"verified address without one":  {NewUser{Username: "bob", Claims: Claims{"email_verified": true}}, "without email"},
		"malformed birthdate":           {NewUser{Username: "bob", Claims: Claims{"birthdate": "10.12.1815"}}, "birthdate must be"},
		"malformed locale":              {NewUser{Username: "bob", Claims: Claims{"locale": "not a locale"}}, "locale must be"},
		"address as text":               {NewUser{Username: "bob", Claims: Claims{"address": "Rome"}}, "address must be"},
		"picture that is a script":      {NewUser{Username: "bob", Claims: Claims{"picture": "javascript:alert(1)"}}, "picture must be"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.AddUser(t.Context(), c.user)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a refusal with %q", err, c.want)
			}
			if c.user.Password != "" && strings.Contains(err.Error(), c.user.Password) || strings.Contains(err.Error(), "123 456") {
				t.Errorf("the refusal repeats what was secret: %v", err)
			}
		})
	}
	if users, _ := b.Users(t.Context(), storage.PersonFilter{}); len(users) != 1 {
		t.Errorf("%d users are stored, want one", len(users))
	}
}

func TestOA33_AddClientShowsASecretOnceAndKeepsAHash(t *testing.T) {
	b, _ := openBase(t)
	c, clear, err := b.AddClient(t.Context(), ClientMetadata{
		ClientName: "Shop", RedirectURIs: []string{"https://shop.test/cb"}, PKCE: "optional",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(clear) < 43 || len(c.Secrets) != 1 || !strings.HasPrefix(c.Secrets[0].Hash, "hmac:") || c.IDTokenAlg != "ES256" {
		t.Errorf("client %+v with a secret of %d characters", c, len(clear))
	}
	if ok, err := b.hasSecret(t.Context(), c, clear); err != nil || !ok {
		t.Errorf("the secret that was shown is %v, %v", ok, err)
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{ClientID: c.ID})
	if err != nil || len(events) != 1 || events[0].Kind != audit.AdminClientCreated || events[0].Data["pkce"] != "optional" {
		t.Errorf("OA-21: events %+v, %v", events, err)
	}
}

func TestDAT01_NamesAndAddressesAreSealedAtRest(t *testing.T) {
	b, _ := openBase(t)
	added, err := b.AddUser(t.Context(), NewUser{Username: "ada", Password: "correct horse battery",
		Claims: Claims{"name": "Ada Lovelace", "email": "ada@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := b.store.Person(t.Context(), added.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range []string{"Lovelace", "example.com", "name"} {
		if strings.Contains(string(stored.Claims), clear) {
			t.Errorf("the stored claims hold %q in clear", clear)
		}
	}
	if u, err := b.User(t.Context(), "ada"); err != nil || u.Claims["name"] != "Ada Lovelace" {
		t.Errorf("read back: %+v, %v", u.Claims, err)
	}
	moved := stored
	moved.ID = "mallory"
	if _, err := openClaims(b.keys, moved); err == nil {
		t.Error("claims moved to another person were opened")
	}
}

package app

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// importUsers imports and returns "index:result" of each entry.
func importUsers(t testing.TB, b *Base, data string, o ImportOptions) ([]string, ImportReport) {
	t.Helper()
	r, err := b.ImportUsers(t.Context(), []byte(data), o)
	if err != nil {
		t.Fatal(err)
	}
	return results(r), r
}

func results(r ImportReport) (list []string) {
	for _, e := range r.Entries {
		list = append(list, fmt.Sprintf("%d:%s", e.Index, e.Result))
	}
	return list
}

// hashes of one password by other systems, as they write them.
func hashes(t testing.TB, password string) map[string]string {
	t.Helper()
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	derive := func(name string, h func() hash.Hash, i, size int) string {
		sum, err := pbkdf2.Key(h, password, salt, i, size)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("$%s$i=%d$%s$%s", name, i, b64(salt), b64(sum))
	}
	key, err := scrypt.Key([]byte(password), salt, 1<<10, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	bc, err := bcrypt.GenerateFromPassword([]byte(password), 4)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"argon2id":  fmt.Sprintf("$argon2id$v=19$m=1024,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 1024, 1, 32))),
		"argon2i":   fmt.Sprintf("$argon2i$v=19$m=1024,t=1,p=1$%s$%s", b64(salt), b64(argon2.Key([]byte(password), salt, 1, 1024, 1, 32))),
		"scrypt":    fmt.Sprintf("$scrypt$ln=10,r=8,p=1$%s$%s", b64(salt), b64(key)),
		"sha1":      derive("pbkdf2", sha1.New, 1000, 20),
		"sha256":    derive("pbkdf2-sha256", sha256.New, 1000, 32),
		"sha512":    derive("pbkdf2-sha512", sha512.New, 1000, 64),
		"bcrypt-2a": string(bc),
		"bcrypt-2y": "$2y$" + string(bc[4:]),
	}
}

func TestPW10_HashesOfEveryKindAreImportedAndReplacedAtTheFirstLogin(t *testing.T) {
	b, _ := openBase(t)
	const password = "Pássword of old"
	var entries []map[string]string
	for name, h := range hashes(t, password) {
		entries = append(entries, map[string]string{"username": name, "password_hash": h})
	}
	data, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	if _, r := importUsers(t, b, string(data), ImportOptions{}); r.Count(ImportAdded) != len(entries) {
		t.Fatalf("report %+v", r)
	}
	for _, e := range entries {
		p, f, err := b.store.PersonByUsername(t.Context(), e["username"])
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(f.Password.Hash, "$") {
			t.Errorf("PW-09: the hash of %s is stored as it came", p.Username)
		}
		r, err := b.hasher.Check(t.Context(), f.Password, password, false)
		if err != nil || !r.OK || r.Rehash == nil {
			t.Fatalf("%s: %+v, %v", p.Username, r, err)
		}
		if r, err := b.hasher.Check(t.Context(), f.Password, password+"x", false); err != nil || r.OK {
			t.Errorf("%s takes a wrong password: %+v, %v", p.Username, r, err)
		}
		err = b.store.InTx(t.Context(), func(ctx context.Context) error {
			_, err := b.store.ReplacePassword(ctx, f.Password.Hash, *r.Rehash)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// The login has made the passwords theirs: importing again, even over them, leaves them.
	got, r := importUsers(t, b, string(data), ImportOptions{Update: true})
	if r.Count(ImportUnchanged) != len(entries) || !strings.Contains(strings.Join(r.Entries[0].Notes, " "), "set-password") {
		t.Errorf("imported over: %v, %+v", got, r)
	}
}

func TestImportReplacesAHashThatNobodyUsed(t *testing.T) {
	b, _ := openBase(t)
	old, fresh := hashes(t, "the old password")["scrypt"], hashes(t, "the new password")["scrypt"]
	entry := func(h string) string { return `[{"username":"ada","password_hash":"` + h + `"}]` }
	for _, step := range []struct {
		hash string
		want string
	}{{old, "1:added"}, {old, "1:unchanged"}, {fresh, "1:updated"}, {fresh, "1:unchanged"}} {
		if got, r := importUsers(t, b, entry(step.hash), ImportOptions{Update: true}); got[0] != step.want {
			t.Fatalf("got %v, want %s: %+v", got, step.want, r)
		}
	}
	_, f, err := b.store.PersonByUsername(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.hasher.Check(t.Context(), f.Password, "the new password", false); err != nil || !r.OK {
		t.Errorf("the newer hash: %+v, %v", r, err)
	}
}

const people = `[
	{"username": "Ada", "password": "correct horse battery", "sub": "248289761001", "phone_number": "+39 347 123 4567",
	 "phone_number_verified": true, "name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true,
	 "given_name": "Ada", "family_name": "Lovelace", "middle_name": "K", "nickname": "ada", "preferred_username": "ada",
	 "profile": "https://example.com/ada", "picture": "https://example.com/ada.png", "website": "https://example.com",
	 "gender": "female", "birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
	 "address": {"street_address": "12 St James's Square\nLondon", "country": "GB"}, "updated_at": 1700000000},
	{"username": "bob", "disabled": true, "parola_sms_forbidden": true, "name": null}
]`

func TestImportOfPeopleIsIdempotent(t *testing.T) { onEach(t, importTwice) }

func importTwice(t *testing.T, b *Base) {
	if got, r := importUsers(t, b, people, ImportOptions{DryRun: true}); !slices.Equal(got, []string{"1:added", "2:added"}) || !r.DryRun {
		t.Errorf("dry run: %v", got)
	}
	if events, err := b.store.ListEvents(t.Context(), storage.EventFilter{}); err != nil || len(events) != 0 {
		t.Fatalf("a dry run left %d events, %v", len(events), err)
	}
	for _, step := range []struct {
		options ImportOptions
		want    []string
	}{
		{ImportOptions{}, []string{"1:added", "2:added"}},
		{ImportOptions{}, []string{"1:skipped", "2:skipped"}},
		{ImportOptions{Update: true}, []string{"1:unchanged", "2:unchanged"}},
	} {
		if got, r := importUsers(t, b, people, step.options); !slices.Equal(got, step.want) {
			t.Errorf("%+v: %v, want %v: %+v", step.options, got, step.want, r)
		}
	}
	ada, err := b.User(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	address, _ := ada.Claims["address"].(map[string]any)
	if ada.ID != "248289761001" || ada.Phone.VerifiedAt.IsZero() || ada.Claims["zoneinfo"] != "Europe/London" || address["country"] != "GB" || len(ada.Claims) != 16 {
		t.Errorf("ada is %+v with %d claims", ada, len(ada.Claims))
	}
	if bob, err := b.User(t.Context(), "bob"); err != nil || bob.State != "disabled" || !bob.SMSForbidden || bob.Phone != nil || bob.Password {
		t.Errorf("bob is %+v, %v", bob, err)
	}
	want := []string{audit.AccountCreated, audit.PhoneBound}
	if got := kinds(t, b, storage.EventFilter{PersonID: ada.ID}); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestImportOverAPersonTellsWhatChanged(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	signIn(t, b, p.ID)
	got, r := importUsers(t, b, `[{"username":"ada","name":"Countess","phone_number":"+393477654321","parola_sms_forbidden":true}]`, ImportOptions{Update: true})
	if got[0] != "1:updated" {
		t.Fatalf("report %+v", r)
	}
	u, err := b.User(t.Context(), "ada")
	if err != nil || u.Claims["name"] != "Countess" || u.Claims["email"] != "ada@example.com" || !u.Phone.VerifiedAt.IsZero() || u.OpenSessions != 0 || !u.SMSForbidden {
		t.Errorf("ada is %+v, %v", u, err)
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{PersonID: p.ID, Kind: audit.AccountUpdated})
	if err != nil || len(events) != 1 || events[0].Data["fields"] != "name sms_forbidden" {
		t.Errorf("events %+v, %v", events, err)
	}
	for entry, want := range map[string]string{
		`{"username":"ada","phone_number":"+393477654321","phone_number_verified":true}`:  "updated", // vouched for now
		`{"username":"ada","phone_number":"+393477654321","phone_number_verified":false}`: "unchanged",
		`{"username":"ada","sub":"someone"}`:                                              "refused",
		`{"username":"ada","phone_number":"12"}`:                                          "refused",
		`{"username":"ada","disabled":true}`:                                              "updated",
		`{"username":"ada","password":"irrelevant"}`:                                      "unchanged",
	} {
		if got, r := importUsers(t, b, "["+entry+"]", ImportOptions{Update: true}); got[0] != "1:"+want {
			t.Errorf("%s: %v, want %s: %+v", entry, got, want, r)
		}
	}
}

func TestINP02_EntriesThatAreRefusedSayWhy(t *testing.T) {
	b, _ := openBase(t)
	ada := addAda(t, b)
	for entry, want := range map[string]string{
		`{}`:                                     "username is missing",
		`{"username":7}`:                         "username is missing or no string",
		`{"Username":"bob"}`:                     "username is missing",
		`{"username":"bob","role":"admin"}`:      `"role" means nothing here`,
		`{"username":"bob","NAME":"Bob"}`:        `"NAME" means nothing here`,
		`{"username":"bob","username":"eve"}`:    `"username" occurs twice`,
		`{"username":"b\u202eb"}`:                "not a user name",
		`{"username":"bob","password":1}`:        "password must be a string",
		`{"username":"bob","disabled":"yes"}`:    "disabled must be true or false",
		`{"username":"bob","password":"short"}`:  "at least 10",
		`{"username":"bob","password_hash":"x"}`: "neither a PHC string",
		`{"username":"bob","password_hash":"$argon2id$v=19$m=4194304,t=1,p=1$MDEyMzQ1Njc4OQ$MDEyMzQ1Njc4OWFiY2RlZg"}`:                          "outside what this server will compute",
		`{"username":"bob","password_hash":"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}`:                                    "cost 31",
		`{"username":"bob","password":"correct horse battery","password_hash":"$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}`: "both given",
		`{"username":"bob","phone_number":"347 123 4567"}`:                                                                                     "country code",
		`{"username":"bob","phone_number_verified":true}`:                                                                                      "without phone_number",
		`{"username":"bob","address":{"country":"IT","country":"FR"}}`:                                                                         `"country" occurs twice`,
		`{"username":"bob","address":{"planet":"Earth"}}`:                                                                                      "address must be",
		`{"username":"bob","email":"nobody"}`:                                                                                                  "email must be",
		`{"username":"bob","sub":"with space"}`:                                                                                                "sub must have",
		`{"username":"bob","sub":"` + ada.ID + `"}`:                                                                                            "another user's",
		`["bob"]`: "no JSON object",
		`"bob"`:   "no JSON object",
		`null`:    "no JSON object",
	} {
		for _, dry := range []bool{false, true} {
			got, r := importUsers(t, b, "["+entry+"]", ImportOptions{DryRun: dry})
			if got[0] != "1:refused" || !strings.Contains(r.Entries[0].Reason, want) {
				t.Errorf("%s: %+v, want a refusal with %q", entry, r.Entries[0], want)
			}
		}
	}
}

func TestOneRefusedEntryLeavesTheOthersOfItsBatch(t *testing.T) { onEach(t, importWithRepeats) }

func importWithRepeats(t *testing.T, b *Base) {
	got, r := importUsers(t, b, `[{"username":"Bob"},{"username":"bob"},{"username":"eve","sub":"x"},{"username":"mal","sub":"x"}]`, ImportOptions{})
	if !slices.Equal(got, []string{"1:added", "2:refused", "3:added", "4:refused"}) {
		t.Errorf("repeated names: %v, %+v", got, r)
	}
}

func TestFileThatIsNoArrayIsRefusedWhole(t *testing.T) {
	b, _ := openBase(t)
	for _, data := range []string{``, `7`, `"x"`, `[`, `[] []`, "[{\"username\":\"\xff\"}]"} {
		r, err := b.ImportUsers(t.Context(), []byte(data), ImportOptions{})
		if !isRefusal(err) {
			t.Errorf("%q: %+v, %v; want a refusal", data, r, err)
		}
	}
}

// brokenLog takes so many events and no more.
type brokenLog struct {
	storage.Events
	left int
}

func (l *brokenLog) AppendEvents(ctx context.Context, events ...storage.Event) error {
	if l.left -= len(events); l.left < 0 {
		return errLogFull
	}
	return l.Events.AppendEvents(ctx, events...)
}

func TestImportThatIsStoppedKeepsWholeBatchesAndGoesOnLater(t *testing.T) {
	onEach(t, importUntilStopped)
}

func importUntilStopped(t *testing.T, b *Base) {
	var entries []map[string]string
	for i := range 2*importBatch + 10 {
		entries = append(entries, map[string]string{"username": fmt.Sprintf("user%03d", i)})
	}
	data, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	whole := b.audit
	b.audit = audit.NewWriter(audit.Config{Events: &brokenLog{b.store, importBatch + 5}, Clock: b.clock})
	r, err := b.ImportUsers(t.Context(), data, ImportOptions{})
	if !errors.Is(err, errLogFull) || !strings.Contains(err.Error(), fmt.Sprintf("stopped at entry %d", importBatch+6)) {
		t.Fatalf("got %v", err)
	}
	users, err := b.Users(t.Context(), storage.PersonFilter{Limit: 1000})
	if err != nil || len(users) != importBatch || r.Count(ImportAdded) != importBatch {
		t.Fatalf("%d users are stored and %d reported, %v; want %d", len(users), r.Count(ImportAdded), err, importBatch)
	}
	b.audit = whole
	_, r = importUsers(t, b, string(data), ImportOptions{})
	if r.Count(ImportSkipped) != importBatch || r.Count(ImportAdded) != importBatch+10 {
		t.Errorf("the second time: %d skipped, %d added", r.Count(ImportSkipped), r.Count(ImportAdded))
	}
}

func FuzzImportUsers(f *testing.F) {
	f.Add(people)
	f.Add(`[{"username":"bob","password_hash":"$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}]`)
	f.Add(`{"username":"x","address":{"country":"IT"}}`)
	keys, err := secret.New(make([]byte, secret.RootSize))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data string) {
		raw, err := splitImport([]byte(data))
		if err != nil {
			return
		}
		for _, entry := range raw {
			u, err := parseUser(entry)
			if err != nil {
				if !isRefusal(err) {
					t.Errorf("%q: %v is no refusal", entry, err)
				}
				continue
			}
			if u.Username == "" || u.Claims.check() != nil {
				t.Errorf("%q was taken as %+v", entry, u)
			}
			if _, err := u.Claims.seal(keys, "somebody"); err != nil {
				t.Errorf("%q: %v", entry, err)
			}
		}
	})
}

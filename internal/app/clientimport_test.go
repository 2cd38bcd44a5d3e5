package app

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

func importClients(t testing.TB, b *Base, data string, o ImportOptions) ([]string, ImportReport) {
	t.Helper()
	r, err := b.ImportClients(t.Context(), []byte(data), o)
	if err != nil {
		t.Fatal(err)
	}
	return results(r), r
}

// registered is what another provider exports: metadata of RFC 7591 with what it added on registering.
const registered = `[
	{"client_id": "shop", "client_secret": "a secret that somebody chose", "client_id_issued_at": 1600000000,
	 "client_secret_expires_at": 0, "client_name": "Shop", "redirect_uris": ["https://shop.example/cb"],
	 "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": "openid email",
	 "token_endpoint_auth_method": "client_secret_post", "contacts": ["ops@shop.example"], "tos_uri": "https://shop.example/tos"},
	{"client_id": "phone-app", "application_type": "native", "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"],
	 "token_endpoint_auth_method": "none"},
	{"client_id": "batch", "grant_types": ["client_credentials"], "scope": "export", "token_endpoint_auth_method": "private_key_jwt",
	 "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}},
	{"client_id": "suite", "client_secret": "another secret", "redirect_uris": ["https://suite.example/cb"], "parola_pkce": "optional"}
]`

func TestImportKeepsClientIDsSecretsAndKeys(t *testing.T) {
	b, _ := openBase(t)
	if got, _ := importClients(t, b, registered, ImportOptions{DryRun: true}); !slices.Equal(got, []string{"1:added", "2:added", "3:added", "4:added"}) {
		t.Errorf("dry run: %v", got)
	}
	if list, err := b.Clients(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Fatalf("a dry run left %d clients, %v", len(list), err)
	}
	for _, step := range []struct {
		options ImportOptions
		want    string
	}{{ImportOptions{}, ImportAdded}, {ImportOptions{}, ImportSkipped}, {ImportOptions{Update: true}, ImportUnchanged}} {
		if _, r := importClients(t, b, registered, step.options); r.Count(step.want) != 4 {
			t.Errorf("%+v: %+v, want all %s", step.options, r, step.want)
		}
	}
	shop, err := b.Client(t.Context(), "shop")
	if err != nil || shop.IDTokenAlg != "RS256" || len(shop.Secrets) != 1 || !strings.HasPrefix(shop.Secrets[0].Hash, "$argon2id$") {
		t.Fatalf("OA-33: shop is %+v, %v", shop, err)
	}
	for secret, want := range map[string]bool{"a secret that somebody chose": true, "another secret": false, "": false} {
		if ok, err := b.hasSecret(t.Context(), shop, secret); err != nil || ok != want {
			t.Errorf("secret %q is %v, %v", secret, ok, err)
		}
	}
	if batch, err := b.Client(t.Context(), "batch"); err != nil || len(batch.JWKS) == 0 || len(batch.Secrets) != 0 {
		t.Errorf("batch is %+v, %v", batch, err)
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{ClientID: "suite"})
	if err != nil || len(events) != 1 || events[0].Kind != audit.AdminClientCreated || events[0].Data["pkce"] != "optional" {
		t.Errorf("OA-21: events %+v, %v", events, err)
	}
}

func TestImportOverAClientReplacesMetadataAndKeepsTheRest(t *testing.T) {
	b, now := openBase(t)
	importClients(t, b, registered, ImportOptions{})
	before, err := b.Client(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(1000)
	entry := `[{"client_id": "shop", "client_name": "The Shop", "redirect_uris": ["https://shop.example/cb"], "scope": "openid email",
		"token_endpoint_auth_method": "client_secret_post", "grant_types": ["authorization_code", "refresh_token"]}]`
	if got, r := importClients(t, b, entry, ImportOptions{Update: true}); got[0] != "1:updated" || r.Entries[0].ClientSecret != "" {
		t.Fatalf("report %+v", r)
	}
	after, err := b.Client(t.Context(), "shop")
	if err != nil || after.Name != "The Shop" || after.Secrets[0].Hash != before.Secrets[0].Hash || !after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("shop is %+v, %v", after, err)
	}
	withSecret := strings.Replace(entry, `"client_name"`, `"client_secret": "the next secret", "client_name"`, 1)
	for _, want := range []string{"1:updated", "1:unchanged"} {
		if got, r := importClients(t, b, withSecret, ImportOptions{Update: true}); got[0] != want {
			t.Errorf("another secret: %+v, want %s", r, want)
		}
	}
	events, err := b.store.ListEvents(t.Context(), storage.EventFilter{ClientID: "shop", Kind: audit.AdminClientUpdated})
	if err != nil || len(events) != 2 || events[0].Data["fields"] != "client_name" || events[1].Data["fields"] != "secrets" {
		t.Errorf("events %+v, %v", events, err)
	}
	public := `[{"client_id": "phone-app", "redirect_uris": ["https://phone.example/cb"]}]`
	if got, r := importClients(t, b, public, ImportOptions{Update: true}); got[0] != "1:refused" || !strings.Contains(r.Entries[0].Reason, "give client_secret") {
		t.Errorf("a public client that became confidential: %+v", r)
	}
}

func TestImportRefusesClientsThatWouldBeWeaker(t *testing.T) {
	b, _ := openBase(t)
	p := addAda(t, b)
	const uri = `"redirect_uris": ["https://x.example/cb"]`
	for entry, want := range map[string]string{
		`{"client_id": "x", "redirect_uris": ["http://x.example/cb"]}`:    "must use https",
		`{"client_id": "x", "redirect_uris": ["https://x.example/cb#f"]}`: "no fragment",
		`{"client_id": "x"}`: "at least one address",
		`{"client_id": "x", ` + uri + `, "dpop_bound_access_tokens": true}`:                                "not supported",
		`{"client_id": "x", ` + uri + `, "token_endpoint_auth_method": "none", "parola_pkce": "optional"}`: "OA-21",
		`{"client_id": "x", ` + uri + `, "client_id": "y"}`:                                                "occurs twice",
		`{"client_id": "x", ` + uri + `, "client_secret": "s", "client_secret_expires_at": 1}`:             "is past",
		`{"client_id": "x", ` + uri + `, "response_types": ["token"]}`:                                     "response_types",
		`{"client_id": "` + p.ID + `", ` + uri + `}`:                                                       "is the sub of a user",
		`{"client_id": "x y\u0000", ` + uri + `}`:                                                          "client_id must have",
		`[{"client_id": "x", ` + uri + `}, {"client_id": "y", ` + uri + `}]`:                               "no JSON object",
		`7`: "not a JSON object",
	} {
		got, r := importClients(t, b, "["+entry+"]", ImportOptions{})
		if got[0] != "1:refused" || !strings.Contains(r.Entries[0].Reason, want) {
			t.Errorf("%s: %+v, want a refusal with %q", entry, r.Entries[0], want)
		}
	}
	got, r := importClients(t, b, `[{"client_id": "x", `+uri+`}, {"client_id": "x", `+uri+`}, {`+uri+`}]`, ImportOptions{})
	if !slices.Equal(got, []string{"1:added", "2:refused", "3:added"}) || !strings.HasPrefix(r.Entries[0].ClientSecret, "ps_") ||
		!strings.HasPrefix(r.Entries[2].Name, "c-") || len(r.Entries[2].Notes) != 1 {
		t.Errorf("report %+v", r)
	}
}

func TestWhatIsShownCanBeImportedElsewhere(t *testing.T) {
	b, _ := openBase(t)
	importClients(t, b, registered, ImportOptions{})
	there, _ := openBase(t)
	list, err := b.Clients(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		text, err := json.Marshal(ViewClient(c))
		if err != nil {
			t.Fatal(err)
		}
		if got, r := importClients(t, there, string(text), ImportOptions{}); got[0] != "1:added" {
			t.Fatalf("%s: %+v", c.ID, r)
		}
		moved, err := there.Client(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.Secrets, moved.Secrets = nil, nil
		if fields, err := differing(c, moved); err != nil || len(fields) != 0 {
			t.Errorf("%s differs in %v, %v", c.ID, fields, err)
		}
	}
}

func FuzzImportClients(f *testing.F) {
	f.Add(registered)
	f.Add(`{"client_id": "x", "redirect_uris": ["https://x.example/cb"], "jwks": {"keys": []}}`)
	f.Add(`[[]]`)
	b, _ := openBase(f)
	f.Fuzz(func(t *testing.T, data string) {
		raw, err := splitImport([]byte(data))
		if err != nil {
			return
		}
		for _, entry := range raw {
			in := &clientImport{base: b, report: new(ImportEntry)}
			if err := in.parse(entry); err != nil {
				if !isRefusal(err) {
					t.Errorf("%q: %v is no refusal", entry, err)
				}
				continue
			}
			if in.client.ID == "" || in.client.AuthMethod == "" || in.client.IDTokenAlg == "" {
				t.Errorf("%q was taken as %+v", entry, in.client)
			}
		}
	})
}

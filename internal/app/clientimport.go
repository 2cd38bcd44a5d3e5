package app

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// ImportClients adds the clients of a JSON array of registration metadata (RFC 7591, OpenID Connect Dynamic Client
// Registration), with what the provider before added: client_id, client_secret and jwks are kept, so that nothing
// changes at the client but the issuer. Members of Parola's own begin with parola_; members that mean nothing here are
// told in the report, and those that ask for a protection Parola does not have are refused.
//
// A client that exists is skipped. With Update its metadata are replaced; its secrets only when the entry names another
// one. An entry without client_id is a new client each time. The report tells of every entry; the error is for what
// stopped the import.
func (b *Base) ImportClients(ctx context.Context, data []byte, o ImportOptions) (ImportReport, error) {
	raw, err := splitImport(data)
	if err != nil {
		return ImportReport{}, fmt.Errorf("import clients: %w", err)
	}
	report := ImportReport{DryRun: o.DryRun, Entries: make([]ImportEntry, len(raw))}
	items := make([]importItem, len(raw))
	ids := make(map[string]int)
	for i := range raw {
		e := &report.Entries[i]
		e.Index = i + 1
		in := &clientImport{base: b, options: o, report: e}
		if err := e.refusedBy(in.parse(raw[i])); err != nil {
			return report, fmt.Errorf("import clients: %w", err)
		}
		firstOf(ids, e, "client_id")
		items[i] = importItem{prepare: in.prepare, save: in.save}
	}
	if err := b.runImport(ctx, report.Entries, items, o); err != nil {
		return report, fmt.Errorf("import clients: %w", err)
	}
	return report, nil
}

// clientImport is one entry on its way into storage.
type clientImport struct {
	base    *Base
	options ImportOptions
	report  *ImportEntry

	metadata oidc.Registration
	client   storage.Client // as the metadata describe it, without secrets
	exists   bool
	secret   *storage.ClientSecret // to store; nil when the stored ones stay
}

func (in *clientImport) parse(raw json.RawMessage) error {
	var name struct {
		ID string `json:"client_id"`
	}
	// An error here is one of the parser below too, which says what is wrong.
	if json.Unmarshal(raw, &name) == nil {
		in.report.Name = name.ID
	}
	list, err := oidc.ParseRegistrations(raw)
	if err != nil {
		return refuse("%s", withoutLabel(err))
	}
	if len(list) != 1 { // an array inside the array
		return refuse("it is no JSON object")
	}
	in.metadata = list[0]
	if in.client, err = in.metadata.Client(in.base.registrationDefaults("")); err != nil {
		return refuse("%s", withoutLabel(err))
	}
	for _, member := range in.metadata.Unknown {
		in.report.Notes = append(in.report.Notes, fmt.Sprintf("member %q means nothing here and is not kept", member))
	}
	if in.metadata.ClientID == "" {
		in.report.Notes = append(in.report.Notes, "it has no client_id and got one; importing it again makes another client")
	}
	return nil
}

// withoutLabel drops the name of the client from the front of an error: the report has it already.
func withoutLabel(err error) string {
	label, rest, found := strings.Cut(err.Error(), ": ")
	if found && (strings.HasPrefix(label, "client ") || label == "read client metadata") {
		return rest
	}
	return err.Error()
}

// prepare hashes the secret, unless it is the stored one already.
func (in *clientImport) prepare(ctx context.Context) error {
	stored, err := in.base.store.Client(ctx, in.client.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		var clear string
		in.secret, clear, err = in.base.newClientSecret(ctx, in.client, in.metadata)
		if in.metadata.ClientSecret == "" {
			in.report.ClientSecret = clear
		}
		in.report.Name = in.client.ID
		return err
	case err != nil:
		return fmt.Errorf("look up what exists: %w", err)
	}
	in.exists = true
	if !in.options.Update || in.metadata.ClientSecret == "" {
		return nil
	}
	same, err := in.base.hasSecret(ctx, stored, in.metadata.ClientSecret)
	if err != nil || same {
		return err
	}
	in.secret, _, err = in.base.newClientSecret(ctx, in.client, in.metadata)
	return err
}

func (in *clientImport) save(ctx context.Context) (string, error) {
	switch {
	case !in.exists:
		return ImportAdded, in.base.insertClient(ctx, in.client, in.secret)
	case !in.options.Update:
		in.report.Reason = "exists"
		return ImportSkipped, nil
	}
	stored, err := in.base.store.Client(ctx, in.client.ID)
	if err != nil {
		return "", fmt.Errorf("look up what exists: %w", err)
	}
	return in.update(ctx, stored)
}

// update replaces the metadata of a client that exists. Whether it is disabled is the operator's word, not the file's.
func (in *clientImport) update(ctx context.Context, stored storage.Client) (string, error) {
	c := in.client
	c.Secrets, c.Disabled, c.CreatedAt, c.UpdatedAt = stored.Secrets, stored.Disabled, stored.CreatedAt, stored.UpdatedAt
	if !usesSecret(c.AuthMethod) {
		c.Secrets = nil
	}
	if in.secret != nil {
		c.Secrets = []storage.ClientSecret{*in.secret}
	}
	if usesSecret(c.AuthMethod) && len(c.Secrets) == 0 {
		return "", refuse("it authenticates with %s and has no secret: give client_secret", c.AuthMethod)
	}
	fields, err := differing(stored, c)
	if err != nil {
		return "", err
	}
	if len(fields) == 0 {
		return ImportUnchanged, nil
	}
	return ImportUpdated, in.base.updateClient(ctx, c, fields)
}

// hasSecret says whether clear is one of the client's secrets.
func (b *Base) hasSecret(ctx context.Context, c storage.Client, clear string) (bool, error) {
	for _, s := range c.Secrets {
		if fast, generated := strings.CutPrefix(s.Hash, "hmac:"); generated {
			if slices.ContainsFunc(b.keys.Hashes(secret.ClientHash, clear), func(hash string) bool {
				return subtle.ConstantTimeCompare([]byte(hash), []byte(fast)) == 1
			}) {
				return true, nil
			}
			continue
		}
		ok, err := b.hasher.VerifySecret(ctx, s.Hash, clear)
		if err != nil {
			return false, fmt.Errorf("compare client secret: %w", err)
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/username"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/storage"
)

// ImportUsers adds the people of a JSON array. Each has `username`, `password` or `password_hash` (argon2, scrypt and
// PBKDF2 as PHC strings, or bcrypt; rehashed at the first login), OpenID claims by their own names, and perhaps `sub`,
// which is kept, `disabled` and `parola_sms_forbidden`. Unknown and repeated members are refused (INP-02).
//
// Whoever exists is skipped. With Update the claims, the phone and `disabled` of the entry replace what is stored, and a
// password_hash replaces one that was imported and never used here: a password that somebody has signed in with is left
// alone. The report tells of every entry; the error is for what stopped the import.
func (b *Base) ImportUsers(ctx context.Context, data []byte, o ImportOptions) (ImportReport, error) {
	raw, err := splitImport(data)
	if err != nil {
		return ImportReport{}, fmt.Errorf("import users: %w", err)
	}
	report := ImportReport{DryRun: o.DryRun, Entries: make([]ImportEntry, len(raw))}
	items := make([]importItem, len(raw))
	names := make(map[string]int)
	for i := range raw {
		e := &report.Entries[i]
		e.Index = i + 1
		u, err := parseUser(raw[i])
		e.Name = u.Username
		if err := e.refusedBy(err); err != nil {
			return report, fmt.Errorf("import users: %w", err)
		}
		firstOf(names, e, "username")
		in := &userImport{base: b, entry: u, options: o, report: e}
		items[i] = importItem{prepare: in.prepare, save: in.save}
	}
	if err := b.runImport(ctx, report.Entries, items, o); err != nil {
		return report, fmt.Errorf("import users: %w", err)
	}
	return report, nil
}

// userEntry is one entry of the file. What may be absent without a meaning of its own is a pointer.
type userEntry struct {
	NewUser
	disabled     *bool
	verified     *bool
	smsForbidden *bool
	notes        []string
}

// parseUser reads one entry; it refuses what it does not know. As much of the user name as could be read is always
// returned, to name the entry in the report.
func parseUser(raw json.RawMessage) (userEntry, error) {
	var u userEntry
	members, err := objectMembers(raw)
	if err != nil {
		return u, refuse("%v", err)
	}
	if err := json.Unmarshal(members["username"], &u.Username); err != nil || u.Username == "" {
		return u, refuse("username is missing or no string")
	}
	name, err := username.Canonical(u.Username)
	if err != nil {
		return u, refuse("username: %v", err)
	}
	u.Username = name
	into := map[string]any{
		"username": &u.Username, "sub": &u.ID, "password": &u.Password, "password_hash": &u.PasswordHash,
		"phone_number": &u.Phone, "phone_number_verified": &u.verified, "disabled": &u.disabled,
		"parola_sms_forbidden": &u.smsForbidden,
	}
	u.Claims = Claims{}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		value := members[member]
		to, known := into[member]
		switch {
		case string(value) == "null" || member == "username": // the name is canonical already
		case known:
			if err := json.Unmarshal(value, to); err != nil {
				return u, refuse("%s must be %s", member, map[bool]string{true: "true or false", false: "a string"}[isFlag(to)])
			}
		case member == "updated_at":
			u.notes = append(u.notes, "updated_at is not kept: Parola notes itself when a user changes")
		default:
			if err := u.readClaim(member, value); err != nil {
				return u, err
			}
		}
	}
	if u.verified != nil && *u.verified && u.Phone == "" {
		return u, refuse("phone_number_verified is given without phone_number")
	}
	u.PhoneVerified = u.verified != nil && *u.verified
	u.Disabled = u.disabled != nil && *u.disabled
	u.SMSForbidden = u.smsForbidden != nil && *u.smsForbidden
	return u, u.Claims.check()
}

func isFlag(to any) bool { _, flag := to.(**bool); return flag }

func (u *userEntry) readClaim(name string, value json.RawMessage) error {
	if _, known := claimKinds[name]; !known {
		return refuse("member %q means nothing here", name)
	}
	if name == "address" {
		if _, err := objectMembers(value); err != nil {
			return refuse("address: %v", err)
		}
	}
	var claim any
	if err := json.Unmarshal(value, &claim); err != nil {
		return refuse("%s: %v", name, err)
	}
	u.Claims[name] = claim
	return nil
}

// objectMembers reads one JSON object by the exact names of its members and refuses a name that occurs twice, of which
// encoding/json would take the last: two readers of the same text must not see different values (INP-02).
func objectMembers(raw json.RawMessage) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("it is no JSON object")
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("member %q occurs twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("member %q: not valid JSON", name)
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is no JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}

// userImport is one entry on its way into storage.
type userImport struct {
	base    *Base
	entry   userEntry
	options ImportOptions
	report  *ImportEntry

	exists   bool
	fresh    newPerson              // for one who does not exist
	password storage.PasswordFactor // for one who does; without a Hash when it stays as it is
}

// prepare looks whether the person exists, so that a repeated import does not hash passwords that it will not store.
func (in *userImport) prepare(ctx context.Context) (err error) {
	in.report.Notes = in.entry.notes
	p, f, err := in.base.store.PersonByUsername(ctx, in.entry.Username)
	if errors.Is(err, storage.ErrNotFound) {
		in.fresh, err = in.base.newPerson(ctx, in.entry.NewUser)
		return err
	}
	if err != nil {
		return fmt.Errorf("look up what exists: %w", err)
	}
	in.exists = true
	switch {
	case !in.options.Update:
		return nil
	case in.entry.ID != "" && in.entry.ID != p.ID:
		return refuse("sub is %q, but this user exists with another", in.entry.ID)
	}
	return in.prepareUpdate(ctx, p, f.Password)
}

func (in *userImport) prepareUpdate(ctx context.Context, p storage.Person, f storage.PasswordFactor) (err error) {
	if in.entry.Phone != "" {
		if _, err := in.base.parsePhone(in.entry.Phone); err != nil {
			return err
		}
	}
	given := in.entry.Password != "" || in.entry.PasswordHash != ""
	switch {
	case !given:
	case f.Hash == "":
		in.password, err = in.base.newPassword(ctx, p, in.entry.Password, in.entry.PasswordHash)
	case in.entry.PasswordHash != "" && in.base.hasher.Untouched(f, in.entry.PasswordHash):
	case in.entry.PasswordHash != "" && f.Normalization == 0:
		in.password, err = in.base.newPassword(ctx, p, in.entry.Password, in.entry.PasswordHash)
	default:
		in.report.Notes = append(in.report.Notes, "the password is left as it is: `parola user set-password` changes it")
	}
	return err
}

func (in *userImport) save(ctx context.Context) (string, error) {
	switch {
	case !in.exists:
		return ImportAdded, in.base.insertPerson(ctx, in.fresh)
	case !in.options.Update:
		in.report.Reason = "exists"
		return ImportSkipped, nil
	}
	p, f, err := in.base.store.PersonByUsername(ctx, in.entry.Username)
	if err != nil {
		return "", fmt.Errorf("look up what exists: %w", err)
	}
	changed, err := in.update(ctx, p, f.Password)
	if err != nil {
		return "", err
	}
	if !changed {
		return ImportUnchanged, nil
	}
	return ImportUpdated, nil
}

// update lays the entry over a person who exists.
func (in *userImport) update(ctx context.Context, p storage.Person, f storage.PasswordFactor) (bool, error) {
	fields, err := in.updateRecord(ctx, p)
	if err != nil {
		return false, err
	}
	if in.password.Hash != "" {
		replaced := f.Hash == ""
		if replaced {
			err = in.base.store.PutPassword(ctx, in.password)
		} else { // unless somebody signed in meanwhile
			replaced, err = in.base.store.ReplacePassword(ctx, f.Hash, in.password)
		}
		if err != nil {
			return false, fmt.Errorf("store password: %w", err)
		}
		if replaced {
			fields = append(fields, "password")
		}
	}
	if len(fields) > 0 {
		err := in.base.write(ctx, storage.Event{
			Kind: audit.AccountUpdated, PersonID: p.ID, ActorID: actor, Data: map[string]string{"fields": fieldNames(fields)},
		})
		if err != nil {
			return false, err
		}
	}
	phoneChanged, err := in.updatePhone(ctx, p)
	if err != nil {
		return false, err
	}
	stateChanged := false
	if in.entry.disabled != nil && *in.entry.disabled == p.DisabledAt.IsZero() {
		stateChanged = true
		if _, err := in.base.setDisabled(ctx, p.ID, *in.entry.disabled); err != nil {
			return false, err
		}
	}
	return len(fields) > 0 || phoneChanged || stateChanged, nil
}

// updateRecord stores the claims of the entry beside those that it does not name, and returns what changed.
func (in *userImport) updateRecord(ctx context.Context, p storage.Person) ([]string, error) {
	before, err := openClaims(in.base.keys, p)
	if err != nil {
		return nil, err
	}
	after := maps.Clone(before)
	maps.Copy(after, in.entry.Claims)
	fields, err := differing(before, after)
	if err != nil {
		return nil, err
	}
	if in.entry.smsForbidden != nil && *in.entry.smsForbidden != p.SMSForbidden {
		p.SMSForbidden = *in.entry.smsForbidden
		fields = append(fields, "sms_forbidden")
	}
	if len(fields) == 0 {
		return nil, nil
	}
	if p.Claims, err = after.seal(in.base.keys, p.ID); err != nil {
		return nil, err
	}
	p.UpdatedAt = in.base.clock.Now()
	if err := in.base.store.UpdatePerson(ctx, p); err != nil {
		return nil, fmt.Errorf("store user: %w", err)
	}
	return fields, nil
}

// updatePhone binds the number of the entry when it is another, or is vouched for now and was not before.
func (in *userImport) updatePhone(ctx context.Context, p storage.Person) (bool, error) {
	if in.entry.Phone == "" {
		return false, nil
	}
	phone, err := in.base.parsePhone(in.entry.Phone)
	if err != nil {
		return false, err
	}
	old, found, err := in.base.phoneOf(ctx, p.ID)
	if err != nil {
		return false, err
	}
	if found && in.base.sameNumber(old, phone) && (!old.VerifiedAt.IsZero() || !in.entry.PhoneVerified) {
		return false, nil
	}
	now := in.base.clock.Now()
	f := mfa.SealPhone(in.base.keys, p.ID, phone, vouched(in.entry.PhoneVerified, now), now)
	_, err = in.base.bindPhone(ctx, f, old, found)
	return true, err
}

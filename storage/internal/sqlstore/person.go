package sqlstore

import (
	"context"

	"github.com/parola-id/parola/storage"
)

const personColumns = `p.id, p.username, p.claims, p.sms_forbidden, p.created_at, p.updated_at, p.disabled_at`

func personDest(p *storage.Person) []any {
	return []any{&p.ID, &p.Username, &p.Claims, &p.SMSForbidden, timeOf(&p.CreatedAt), timeOf(&p.UpdatedAt), timeOf(&p.DisabledAt)}
}

func scanPerson(r row) (storage.Person, error) {
	var p storage.Person
	err := r.Scan(personDest(&p)...)
	return p, err
}

// InsertPerson implements storage.Persons.
func (s *Store) InsertPerson(ctx context.Context, p storage.Person) error {
	_, err := s.exec(ctx, `INSERT INTO persons (id, username, claims, sms_forbidden, created_at, updated_at, disabled_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, p.Username, p.Claims, p.SMSForbidden, ms(p.CreatedAt), ms(p.UpdatedAt), ms(p.DisabledAt))
	return err
}

// UpdatePerson implements storage.Persons.
func (s *Store) UpdatePerson(ctx context.Context, p storage.Person) error {
	return s.affects(ctx, `UPDATE persons SET username = $2, claims = $3, sms_forbidden = $4, created_at = $5,
		updated_at = $6, disabled_at = $7 WHERE id = $1`,
		p.ID, p.Username, p.Claims, p.SMSForbidden, ms(p.CreatedAt), ms(p.UpdatedAt), ms(p.DisabledAt))
}

// Person implements storage.Persons.
func (s *Store) Person(ctx context.Context, id string) (storage.Person, error) {
	return reading(scanPerson).one(ctx, s, `SELECT `+personColumns+` FROM persons p WHERE p.id = $1`, id)
}

// PersonByUsername implements storage.Persons.
func (s *Store) PersonByUsername(ctx context.Context, username string) (storage.Person, storage.Factors, error) {
	type found struct {
		person  storage.Person
		factors storage.Factors
	}
	scan := func(r row) (found, error) {
		var f found
		w, t := &f.factors.Password, &f.factors.Phone
		dest := append(personDest(&f.person), &w.Hash, &w.KeyID, &w.Normalization, timeOf(&w.UpdatedAt),
			&t.ID, &t.Sealed, &t.Hash, &t.Country, &t.LastTwo, timeOf(&t.VerifiedAt), timeOf(&t.CreatedAt), &t.Failures,
			timeOf(&t.DisabledAt), timeOf(&t.NoWhatsAppUntil), timeOf(&t.LastUsedAt), &t.Identity, timeOf(&t.BarredAt))
		err := r.Scan(dest...)
		if w.Hash != "" {
			w.PersonID = f.person.ID
		}
		if t.ID != "" {
			t.PersonID = f.person.ID
		}
		return f, err
	}
	f, err := reading(scan).one(ctx, s, `SELECT `+personColumns+`,
			COALESCE(w.hash, ''), COALESCE(w.key_id, ''), COALESCE(w.normalization, 0), w.updated_at,
			COALESCE(t.id, ''), t.sealed, COALESCE(t.hash, ''), COALESCE(t.country, ''), COALESCE(t.last_two, ''),
			t.verified_at, t.created_at, COALESCE(t.failures, 0), t.disabled_at, t.no_whatsapp_until, t.last_used_at, t.identity,
			t.barred_at
		FROM persons p LEFT JOIN passwords w ON w.person_id = p.id LEFT JOIN phones t ON t.person_id = p.id
		WHERE p.username = $1`, username)
	return f.person, f.factors, err
}

// ListPersons implements storage.Persons.
func (s *Store) ListPersons(ctx context.Context, f storage.PersonFilter) ([]storage.Person, error) {
	return reading(scanPerson).all(ctx, s, `SELECT `+personColumns+` FROM persons p
		WHERE p.username > $1 AND substr(p.username, 1, length(CAST($2 AS TEXT))) = CAST($2 AS TEXT)
		ORDER BY p.username LIMIT $3`, f.After, f.Prefix, bounded(f.Limit, 100, 1000))
}

// PutPassword implements storage.Persons.
func (s *Store) PutPassword(ctx context.Context, f storage.PasswordFactor) error {
	_, err := s.exec(ctx, `INSERT INTO passwords (person_id, hash, key_id, normalization, updated_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (person_id) DO UPDATE SET hash = excluded.hash, key_id = excluded.key_id,
			normalization = excluded.normalization, updated_at = excluded.updated_at`,
		f.PersonID, f.Hash, f.KeyID, f.Normalization, ms(f.UpdatedAt))
	return err
}

// ReplacePassword implements storage.Persons.
func (s *Store) ReplacePassword(ctx context.Context, oldHash string, f storage.PasswordFactor) (bool, error) {
	return s.once(ctx, `UPDATE passwords SET hash = $3, key_id = $4, normalization = $5, updated_at = $6
		WHERE person_id = $1 AND hash = $2`,
		f.PersonID, oldHash, f.Hash, f.KeyID, f.Normalization, ms(f.UpdatedAt))
}

package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

const phoneColumns = `id, person_id, sealed, hash, country, last_two, verified_at, created_at, failures, disabled_at,
	no_whatsapp_until, last_used_at, identity, barred_at`

func scanPhone(r row) (storage.PhoneFactor, error) {
	var f storage.PhoneFactor
	err := r.Scan(&f.ID, &f.PersonID, &f.Sealed, &f.Hash, &f.Country, &f.LastTwo, timeOf(&f.VerifiedAt),
		timeOf(&f.CreatedAt), &f.Failures, timeOf(&f.DisabledAt), timeOf(&f.NoWhatsAppUntil), timeOf(&f.LastUsedAt),
		&f.Identity, timeOf(&f.BarredAt))
	return f, err
}

// PutPhone implements storage.Phones.
func (s *Store) PutPhone(ctx context.Context, f storage.PhoneFactor) error {
	_, err := s.exec(ctx, `INSERT INTO phones (`+phoneColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (person_id) DO UPDATE SET id = excluded.id, sealed = excluded.sealed, hash = excluded.hash,
			country = excluded.country, last_two = excluded.last_two, verified_at = excluded.verified_at,
			created_at = excluded.created_at, failures = excluded.failures, disabled_at = excluded.disabled_at,
			no_whatsapp_until = excluded.no_whatsapp_until, last_used_at = excluded.last_used_at,
			identity = excluded.identity, barred_at = excluded.barred_at`,
		f.ID, f.PersonID, f.Sealed, f.Hash, f.Country, f.LastTwo, ms(f.VerifiedAt), ms(f.CreatedAt), f.Failures,
		ms(f.DisabledAt), ms(f.NoWhatsAppUntil), ms(f.LastUsedAt), blob(f.Identity), ms(f.BarredAt))
	return err
}

// Phone implements storage.Phones.
func (s *Store) Phone(ctx context.Context, id string) (storage.PhoneFactor, error) {
	return reading(scanPhone).one(ctx, s, `SELECT `+phoneColumns+` FROM phones WHERE id = $1`, id)
}

// PhoneOf implements storage.Phones.
func (s *Store) PhoneOf(ctx context.Context, personID string) (storage.PhoneFactor, error) {
	return reading(scanPhone).one(ctx, s, `SELECT `+phoneColumns+` FROM phones WHERE person_id = $1`, personID)
}

// CountPhoneFailure implements storage.Phones.
func (s *Store) CountPhoneFailure(ctx context.Context, id string, limit int, now time.Time) (int, bool, error) {
	type count struct {
		failures int
		disabled bool
	}
	scan := func(r row) (c count, err error) { return c, r.Scan(&c.failures, &c.disabled) }
	c, err := changing(scan).one(ctx, s, `UPDATE phones SET failures = failures + 1,
			disabled_at = CASE WHEN failures + 1 > CAST($2 AS BIGINT) THEN CAST($3 AS BIGINT) END
		WHERE id = $1 AND disabled_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM persons p WHERE p.id = phones.person_id AND p.disabled_at IS NOT NULL)
		RETURNING failures, disabled_at IS NOT NULL`, id, limit, ms(now))
	return c.failures, c.disabled, err
}

// ClearPhoneFailures implements storage.Phones; ErrNotFound when there is no such factor.
func (s *Store) ClearPhoneFailures(ctx context.Context, id string, now time.Time) error {
	return s.affects(ctx, `UPDATE phones SET failures = 0, last_used_at = $2 WHERE id = $1`, id, ms(now))
}

// EnablePhone implements storage.Phones; ErrNotFound when there is no such factor.
func (s *Store) EnablePhone(ctx context.Context, id string) error {
	return s.affects(ctx, `UPDATE phones SET failures = 0, disabled_at = NULL WHERE id = $1`, id)
}

// BindIdentity implements storage.Phones.
func (s *Store) BindIdentity(ctx context.Context, id string, identity []byte) (bool, error) {
	if len(identity) == 0 {
		return false, nil
	}
	return s.once(ctx, `UPDATE phones SET identity = $2 WHERE id = $1 AND identity IS NULL`, id, identity)
}

// ForgetIdentity implements storage.Phones.
func (s *Store) ForgetIdentity(ctx context.Context, id string) error {
	return s.affects(ctx, `UPDATE phones SET identity = NULL, barred_at = NULL WHERE id = $1`, id)
}

// BarPhone implements storage.Phones.
func (s *Store) BarPhone(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, `UPDATE phones SET barred_at = $2 WHERE id = $1 AND barred_at IS NULL`, id, ms(now))
	return err
}

// NoteNoWhatsApp implements storage.Phones.
func (s *Store) NoteNoWhatsApp(ctx context.Context, numberHash string, until time.Time) error {
	_, err := s.exec(ctx, `UPDATE phones SET no_whatsapp_until = $2 WHERE hash = $1`, numberHash, ms(until))
	return err
}

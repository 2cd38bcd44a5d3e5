package sqlstore

import (
	"context"
	"time"

	"github.com/parola-id/parola/storage"
)

// PutConsent implements storage.Consents.
func (s *Store) PutConsent(ctx context.Context, c storage.Consent) error {
	_, err := s.exec(ctx, `INSERT INTO consents (person_id, client_id, scopes, granted_at, expires_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (person_id, client_id) DO UPDATE SET scopes = excluded.scopes, granted_at = excluded.granted_at,
			expires_at = excluded.expires_at`,
		c.PersonID, c.ClientID, words(c.Scopes), ms(c.GrantedAt), ms(c.ExpiresAt))
	return err
}

const selectConsent = `SELECT person_id, client_id, scopes, granted_at, expires_at FROM consents `

func scanConsent(r row) (storage.Consent, error) {
	var c storage.Consent
	err := r.Scan(&c.PersonID, &c.ClientID, wordsOf(&c.Scopes), timeOf(&c.GrantedAt), timeOf(&c.ExpiresAt))
	return c, err
}

// Consent implements storage.Consents.
func (s *Store) Consent(ctx context.Context, personID, clientID string) (storage.Consent, error) {
	return reading(scanConsent).one(ctx, s, selectConsent+`WHERE person_id = $1 AND client_id = $2`, personID, clientID)
}

// DeleteConsent implements storage.Consents.
func (s *Store) DeleteConsent(ctx context.Context, personID, clientID string) (bool, error) {
	return s.once(ctx, `DELETE FROM consents WHERE person_id = $1 AND client_id = $2`, personID, clientID)
}

// UseOnce implements storage.Assertions. A record past its time is taken over as if it were not there, so that the
// answer does not depend on when the sweeper came by.
func (s *Store) UseOnce(ctx context.Context, key string, until, now time.Time) (bool, error) {
	return s.once(ctx, `INSERT INTO assertions (id, expires_at) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at WHERE assertions.expires_at <= $3`,
		key, ms(until), ms(now))
}

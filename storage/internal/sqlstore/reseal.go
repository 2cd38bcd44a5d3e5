package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/parola-id/parola/storage"
)

// sealedColumns say where a kind has its sealed value, which generation sealed it, and the hash that goes with it.
type sealedColumns struct {
	table, id, sealed, generation string
	hash                          string // empty without one
	text                          bool   // the sealed value is text, and the generation a column of its own
}

func sealedIn(kind storage.SealedKind) (sealedColumns, error) {
	// "v1.", eight characters of the generation, a dot: storage.Reseals promises it.
	within := func(column string) string { return "substr(" + column + ", 4, 8)" }
	switch kind {
	case storage.SealedClaims:
		return sealedColumns{table: "persons", id: "id", sealed: "claims", generation: within("claims")}, nil
	case storage.SealedPasswords:
		return sealedColumns{table: "passwords", id: "person_id", sealed: "hash", generation: "key_id", text: true}, nil
	case storage.SealedPhones:
		return sealedColumns{table: "phones", id: "id", sealed: "sealed", generation: within("sealed"), hash: "hash"}, nil
	case storage.SealedIdentities:
		return sealedColumns{table: "phones", id: "id", sealed: "identity", generation: within("identity")}, nil
	case storage.SealedSigningKeys:
		return sealedColumns{table: "signing_keys", id: "kid", sealed: "sealed", generation: within("sealed")}, nil
	}
	return sealedColumns{}, fmt.Errorf("there is nothing sealed of kind %q", kind)
}

// value is a sealed value, or a generation, as its column takes it.
func (c sealedColumns) value(b []byte) any {
	if c.text {
		return string(b)
	}
	return b
}

// CountSealed implements storage.Reseals.
func (s *Store) CountSealed(ctx context.Context, kind storage.SealedKind) (map[string]int, error) {
	c, err := sealedIn(kind)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	scan := func(r row) (string, error) {
		var generation []byte
		n := 0
		err := r.Scan(&generation, &n)
		if err == nil {
			counts[string(generation)] = n
		}
		return string(generation), err
	}
	_, err = reading(scan).all(ctx, s, `SELECT `+c.generation+`, COUNT(*) FROM `+c.table+
		` WHERE `+c.sealed+` IS NOT NULL AND length(`+c.sealed+`) > 0 GROUP BY `+c.generation)
	return counts, err
}

// SealedWith implements storage.Reseals.
func (s *Store) SealedWith(ctx context.Context, kind storage.SealedKind, generation, after string, limit int) ([]storage.SealedRecord, error) {
	c, err := sealedIn(kind)
	if err != nil {
		return nil, err
	}
	hash := c.hash
	if hash == "" {
		hash = "''"
	}
	scan := func(r row) (rec storage.SealedRecord, err error) {
		err = r.Scan(&rec.ID, &rec.Sealed, &rec.Hash)
		return rec, err
	}
	return reading(scan).all(ctx, s, `SELECT `+c.id+`, `+c.sealed+`, `+hash+` FROM `+c.table+
		` WHERE `+c.id+` > $1 AND `+c.generation+` = $2 ORDER BY `+c.id+` LIMIT $3`,
		after, c.value([]byte(generation)), bounded(limit, 100, 1000))
}

// Reseal implements storage.Reseals.
func (s *Store) Reseal(ctx context.Context, kind storage.SealedKind, generation string, before, after storage.SealedRecord) (bool, error) {
	c, err := sealedIn(kind)
	if err != nil {
		return false, err
	}
	set, args := c.sealed+` = $2`, []any{before.ID, c.value(after.Sealed), c.value(before.Sealed)}
	switch {
	case c.hash != "":
		set, args = set+`, `+c.hash+` = $4`, append(args, after.Hash)
	case c.text:
		set, args = set+`, `+c.generation+` = $4`, append(args, generation)
	}
	return s.once(ctx, `UPDATE `+c.table+` SET `+set+` WHERE `+c.id+` = $1 AND `+c.sealed+` = $3`, args...)
}

// CountHashed implements storage.Reseals.
func (s *Store) CountHashed(ctx context.Context, until, now time.Time) ([]storage.Hashed, error) {
	scan := func(r row) (h storage.Hashed, err error) {
		err = r.Scan(&h.Kind, &h.Count, timeOf(&h.Until))
		return h, err
	}
	all, err := reading(scan).all(ctx, s, `
		SELECT 'access_tokens', COUNT(*), MAX(expires_at) FROM tokens
			WHERE kind = 'access' AND issued_at <= $1 AND expires_at > $2 AND revoked_at IS NULL
		UNION ALL SELECT 'refresh_tokens', COUNT(*), MAX(expires_at) FROM tokens
			WHERE kind = 'refresh' AND issued_at <= $1 AND expires_at > $2 AND revoked_at IS NULL AND used_at IS NULL
		UNION ALL SELECT 'auth_codes', COUNT(*), MAX(auth_code_expires_at) FROM grants
			WHERE auth_code_used_at IS NULL AND created_at <= $1 AND auth_code_expires_at > $2
		UNION ALL SELECT 'sessions', COUNT(*), MAX(expires_at) FROM sessions
			WHERE created_at <= $1 AND expires_at > $2 AND ended_at IS NULL
		UNION ALL SELECT 'auth_requests', COUNT(*), MAX(expires_at) FROM auth_requests
			WHERE created_at <= $1 AND expires_at > $2 AND ended_at IS NULL`, ms(until), ms(now))
	if err != nil {
		return nil, err
	}
	var found []storage.Hashed
	for _, h := range all {
		if h.Count > 0 {
			found = append(found, h)
		}
	}
	return found, nil
}

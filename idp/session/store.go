package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// record is what travels through scs: the row of a session, and what is known of it beside the row.
type record struct {
	storage.Session
	// Barred is read from storage only. Renewal says that Commit replaces the token of an existing row.
	Barred, Renewal bool
}

// recordKey is the one value of our scs sessions.
const recordKey = "record"

// load finds the record of a token; one with an empty ID when there is none.
func (m *Manager) load(ctx context.Context, token string) (record, error) {
	ctx, err := m.scs.Load(ctx, token)
	if err != nil {
		return record{}, err
	}
	held, _ := m.scs.Get(ctx, recordKey).(record)
	return held, nil
}

// commit stores the record under a new token, in the transaction of ctx, and returns the cookie that carries it.
func (m *Manager) commit(ctx context.Context, r record) (*http.Cookie, error) {
	ctx, err := m.scs.Load(ctx, "")
	if err != nil {
		return nil, err
	}
	m.scs.Put(ctx, recordKey, r)
	m.scs.SetDeadline(ctx, r.ExpiresAt)
	token, _, err := m.scs.Commit(ctx)
	if err != nil {
		return nil, err
	}
	return m.cookie(m.scs.Cookie.Name, token, 0), nil
}

// recordCodec carries a record between scs and scsStore, which both think in bytes. Nothing of it is stored: the row's
// columns are.
type recordCodec struct{}

func (recordCodec) Encode(_ time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(values[recordKey])
}

func (recordCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return time.Time{}, nil, fmt.Errorf("decode session: %w", err)
	}
	return r.ExpiresAt, map[string]any{recordKey: r}, nil
}

// scsStore keeps scs's sessions in the rows of storage.Sessions. scs hands over the SHA-256 of a token; the row holds a
// keyed hash of that, so that neither reading nor writing the table gives anybody a session.
type scsStore struct {
	sessions storage.Sessions
	keys     *secret.Keys
}

var _ scs.CtxStore = (*scsStore)(nil)

// FindCtx returns ended and expired sessions too: Manager.Current judges them, on our clock.
func (s *scsStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	for _, hash := range s.keys.Hashes(secret.TokenHash, token) {
		found, barred, err := s.sessions.SessionByToken(ctx, hash)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		b, err := json.Marshal(record{Session: found, Barred: barred})
		return b, err == nil, err
	}
	return nil, false, nil
}

// CommitCtx writes the row in the transaction of ctx.
func (s *scsStore) CommitCtx(ctx context.Context, token string, b []byte, _ time.Time) error {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("decode session: %w", err)
	}
	r.TokenHash = s.keys.Hash(secret.TokenHash, token)
	if r.Renewal {
		return s.sessions.RenewSession(ctx, r.Session)
	}
	return s.sessions.InsertSession(ctx, r.Session)
}

// errUnused is returned by what scs declares and this package never calls: sessions end by Manager.End, with a reason
// and an event, and every call has a context.
var errUnused = errors.New("session: not used through scs")

func (s *scsStore) DeleteCtx(context.Context, string) error { return errUnused }
func (s *scsStore) Find(string) ([]byte, bool, error)       { return nil, false, errUnused }
func (s *scsStore) Commit(string, []byte, time.Time) error  { return errUnused }
func (s *scsStore) Delete(string) error                     { return errUnused }

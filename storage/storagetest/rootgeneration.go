package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testRootGenerations(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := t.Context()
	use := func(id string, at time.Time) (first bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			first, err = s.UseRoot(ctx, id, at)
			return err
		})
		return first
	}
	t.Run("the first use is told from later ones, which move forward only", func(t *testing.T) {
		same(t, use("aaaaaaaa", noon), true)
		same(t, use("bbbbbbbb", noon.Add(time.Hour)), true)
		same(t, use("aaaaaaaa", noon.Add(time.Minute)), false)
		same(t, use("aaaaaaaa", noon.Add(time.Second)), false)
		same(t, must(s.RootGenerations(ctx))(t), []storage.RootGeneration{
			{ID: "aaaaaaaa", FirstUsedAt: noon, LastUsedAt: noon.Add(time.Minute)},
			{ID: "bbbbbbbb", FirstUsedAt: noon.Add(time.Hour), LastUsedAt: noon.Add(time.Hour)},
		})
	})
	t.Run("of eight nodes that begin with a generation exactly one is the first", func(t *testing.T) {
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.UseRoot(ctx, "cccccccc", noon.Add(2*time.Hour))
		}); wins != 1 {
			t.Errorf("%d were the first", wins)
		}
	})
	t.Run("one is retired once, and its audit key stays", func(t *testing.T) {
		retire := func(id string) (done bool) {
			t.Helper()
			write(t, s, func(ctx context.Context) (err error) {
				if err = s.KeepAuditKey(ctx, "aaaaaaaa", []byte{0, 0xff}); err == nil {
					done, err = s.RetireRoot(ctx, id, noon.Add(3*time.Hour))
				}
				return err
			})
			return done
		}
		same(t, retire("aaaaaaaa"), true)
		same(t, retire("aaaaaaaa"), false)
		same(t, retire("none"), false)
		same(t, must(s.RootGenerations(ctx))(t)[0], storage.RootGeneration{ID: "aaaaaaaa", FirstUsedAt: noon,
			LastUsedAt: noon.Add(time.Minute), RetiredAt: noon.Add(3 * time.Hour), AuditKey: []byte{0, 0xff}})
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.KeepAuditKey(ctx, "none", []byte{1}) })
	})
}

func testReseals(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := t.Context()
	const old, fresh = "0ld00000", "fre5h000"
	sealed := func(generation string) []byte { return []byte("v1." + generation + ".\x00\xff") }
	persons := make([]storage.Person, 3)
	for i := range persons {
		p, f := personRecord(), storage.PhoneFactor{}
		p.Claims = sealed(old)
		f = phoneRecord(p.ID)
		f.Sealed, f.Identity = sealed(old), sealed(old)
		if i == 2 { // made by a node that has the new root already, and one who has no claims and no identity
			p.Claims, f.Sealed, f.Identity = nil, sealed(fresh), nil
		}
		persons[i] = p
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertPerson(ctx, p); err != nil {
				return err
			}
			if err := s.PutPassword(ctx, storage.PasswordFactor{PersonID: p.ID, Hash: "old hash", KeyID: old, UpdatedAt: noon}); err != nil {
				return err
			}
			if err := s.InsertSigningKey(ctx, storage.SigningKey{KID: p.ID, Alg: "ES256", State: storage.KeyPrevious,
				Public: []byte("{}"), Sealed: sealed(old), CreatedAt: noon}); err != nil {
				return err
			}
			return s.PutPhone(ctx, f)
		})
	}
	for kind, want := range map[storage.SealedKind]map[string]int{
		storage.SealedClaims: {old: 2}, storage.SealedPasswords: {old: 3}, storage.SealedPhones: {old: 2, fresh: 1},
		storage.SealedIdentities: {old: 2}, storage.SealedSigningKeys: {old: 3},
	} {
		t.Run(string(kind), func(t *testing.T) {
			same(t, must(s.CountSealed(ctx, kind))(t), want)
			first := must(s.SealedWith(ctx, kind, old, "", 1))(t)
			rest := must(s.SealedWith(ctx, kind, old, first[0].ID, 10))(t)
			same(t, len(first)+len(rest), want[old])
			before, other := first[0], rest[0]
			after := storage.SealedRecord{ID: before.ID, Sealed: sealed(fresh), Hash: "fresh hash"}
			if kind == storage.SealedPasswords {
				after.Sealed = []byte("fresh hash")
			}
			reseal := func(before storage.SealedRecord) (done bool) {
				t.Helper()
				write(t, s, func(ctx context.Context) (err error) {
					done, err = s.Reseal(ctx, kind, fresh, before, after)
					return err
				})
				return done
			}
			same(t, reseal(before), true)
			same(t, reseal(before), false) // what is there now is something else
			same(t, reseal(storage.SealedRecord{ID: "none", Sealed: before.Sealed}), false)
			same(t, must(s.CountSealed(ctx, kind))(t), map[string]int{old: want[old] - 1, fresh: want[fresh] + 1})
			got := must(s.SealedWith(ctx, kind, fresh, "", 10))(t)
			for _, r := range got {
				if r.ID == before.ID {
					if kind != storage.SealedPhones {
						after.Hash = ""
					}
					same(t, r, after)
				}
			}
			same(t, must(s.SealedWith(ctx, kind, old, "", 10))(t)[0], other)
		})
	}
	if _, err := s.CountSealed(ctx, "everything"); err == nil {
		t.Error("a kind that is none was counted")
	}
	t.Run("what is alive and was hashed up to a time is counted with its end", func(t *testing.T) {
		same(t, must(s.CountHashed(ctx, noon, noon))(t), []storage.Hashed{})
		g := seedGrant(t, s)
		late := tokenRecord(storage.AccessToken, g)
		late.IssuedAt = noon.Add(time.Hour)
		live, dead := tokenRecord(storage.RefreshToken, g), tokenRecord(storage.RefreshToken, g)
		live.ExpiresAt, dead.RevokedAt = noon.Add(14*24*time.Hour), noon
		session, ended := must(s.Session(ctx, g.SessionID))(t), sessionRecord(persons[0].ID)
		request := authRequestRecord()
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertTokens(ctx, late, live, dead, tokenRecord(storage.AccessToken, g)); err != nil {
				return err
			}
			if err := s.InsertSession(ctx, ended); err != nil {
				return err
			}
			if _, err := s.EndSession(ctx, ended.ID, "logout", noon); err != nil {
				return err
			}
			return s.InsertAuthRequest(ctx, request)
		})
		same(t, must(s.CountHashed(ctx, noon.Add(time.Minute), noon.Add(time.Second)))(t), []storage.Hashed{
			{Kind: "access_tokens", Count: 1, Until: noon.Add(10 * time.Minute)},
			{Kind: "refresh_tokens", Count: 1, Until: live.ExpiresAt},
			{Kind: "auth_codes", Count: 1, Until: g.AuthCodeExpiresAt},
			{Kind: "sessions", Count: 1, Until: session.ExpiresAt},
			{Kind: "auth_requests", Count: 1, Until: request.ExpiresAt},
		})
	})
}

package storagetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testGrants(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	use := func(t *testing.T, hash, clientID string) (g storage.Grant, used bool, err error) {
		err = s.InTx(ctx, func(ctx context.Context) error {
			g, used, err = s.UseAuthCode(ctx, hash, clientID, noon.Add(time.Second))
			return err
		})
		return g, used, err
	}

	t.Run("a grant comes back as it was stored", func(t *testing.T) {
		g := seedGrant(t, s)
		same(t, must(s.Grant(ctx, g.ID))(t), g)
		_, err := s.Grant(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("a grant of no client is refused", func(t *testing.T) {
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			return s.InsertGrant(ctx, grantRecord("no client", "p"))
		})
	})
	t.Run("grants without a person or a code live side by side", func(t *testing.T) {
		client := seedClient(t, s).ID
		for range 2 {
			g := storage.Grant{ID: storage.NewID(), ClientID: client, Scopes: []string{"api"}, CreatedAt: noon}
			write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, g) })
			same(t, must(s.Grant(ctx, g.ID))(t), g)
		}
		_, _, err := use(t, "", client)
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("OA-24 a code is used once, then it is a replay", func(t *testing.T) {
		g := seedGrant(t, s)
		got, used, err := use(t, g.AuthCodeHash, g.ClientID)
		if err != nil || !used {
			t.Fatal(used, err)
		}
		g.AuthCodeUsedAt = noon.Add(time.Second)
		same(t, got, g)
		got, used, err = use(t, g.AuthCodeHash, g.ClientID)
		if err != nil || used {
			t.Fatal(used, err)
		}
		same(t, got, g)
	})
	t.Run("A30 another client's code changes nothing", func(t *testing.T) {
		g := seedGrant(t, s)
		_, _, err := use(t, g.AuthCodeHash, "another")
		isError(t, err, storage.ErrNotFound)
		_, _, err = use(t, "no such code", g.ClientID)
		isError(t, err, storage.ErrNotFound)
		same(t, must(s.Grant(ctx, g.ID))(t), g)
	})
	t.Run("of eight uses of a code exactly one wins", func(t *testing.T) {
		g := seedGrant(t, s)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			_, used, err := s.UseAuthCode(ctx, g.AuthCodeHash, g.ClientID, noon)
			return used, err
		}); wins != 1 {
			t.Errorf("%d won", wins)
		}
	})
	t.Run("OA-55 a disabled person or phone bars the grant", func(t *testing.T) {
		testBarred(t, s, func(personID string) func() bool {
			g := grantRecord(seedClient(t, s).ID, personID)
			write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, g) })
			return func() bool { return must(s.Grant(ctx, g.ID))(t).Barred }
		})
	})
	t.Run("a grant is revoked once", func(t *testing.T) {
		g := seedGrant(t, s)
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.RevokeGrant(ctx, g.ID, "reuse", noon)
		}); wins != 1 {
			t.Errorf("%d revoked it", wins)
		}
		got := must(s.Grant(ctx, g.ID))(t)
		same(t, []any{got.RevokedAt, got.RevokeReason}, []any{noon, "reuse"})
	})
	t.Run("OA-57 grants of a person are revoked by client, by session, and but for offline ones", func(t *testing.T) {
		person, c1, c2 := seedPerson(t, s).ID, seedClient(t, s).ID, seedClient(t, s).ID
		add := func(clientID, sessionID string, scopes ...string) string {
			g := grantRecord(clientID, person)
			g.SessionID, g.Scopes = sessionID, scopes
			write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, g) })
			return g.ID
		}
		s1, s2 := seedSession(t, s, person).ID, seedSession(t, s, person).ID
		online, offline := add(c1, s1, "openid"), add(c1, s1, "openid", "offline_access")
		elsewhere, later := add(c2, s1, "openid"), add(c1, s2, "openid")
		revoke := func(clientID, sessionID string, keepOffline bool) (ids []string) {
			write(t, s, func(ctx context.Context) (err error) {
				ids, err = s.RevokeGrantsOf(ctx, person, clientID, sessionID, keepOffline, "logout", noon)
				return err
			})
			slices.Sort(ids)
			return ids
		}
		same(t, revoke(c1, s1, true), []string{online})
		same(t, revoke(c1, s1, true), []string{})
		same(t, revoke("", s2, true), []string{later})
		want := []string{offline, elsewhere}
		slices.Sort(want)
		same(t, revoke("", "", false), want)
	})
	t.Run("OA-57 a session that has ended gets no grant", func(t *testing.T) {
		g := seedGrant(t, s)
		write(t, s, func(ctx context.Context) error {
			_, err := s.EndSession(ctx, g.SessionID, "logout", noon)
			return err
		})
		for _, session := range []string{g.SessionID, "none"} {
			late := grantRecord(g.ClientID, g.PersonID)
			late.SessionID = session
			refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.InsertGrant(ctx, late) })
			_, err := s.Grant(ctx, late.ID)
			isError(t, err, storage.ErrNotFound)
		}
	})
	t.Run("OA-57 a grant and the end of its session wait for each other", func(t *testing.T) { testGrantWhileSessionEnds(t, s, db.two(t)) })
	t.Run("nobody's grants are not revoked as a person's", func(t *testing.T) {
		g := storage.Grant{ID: storage.NewID(), ClientID: seedClient(t, s).ID, CreatedAt: noon}
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertGrant(ctx, g); err != nil {
				return err
			}
			ids, err := s.RevokeGrantsOf(ctx, "", "", "", false, "x", noon)
			same(t, ids, []string{})
			return err
		})
	})
}

// testGrantWhileSessionEnds has one node sign a session out while another makes a grant of it, either of them first.
func testGrantWhileSessionEnds(t *testing.T, s storage.Store, nodes []storage.Store) {
	ctx := context.Background()
	insert := func(ctx context.Context, s storage.Store, g storage.Grant) error { return s.InsertGrant(ctx, g) }
	logout := func(ctx context.Context, s storage.Store, g storage.Grant) error {
		if _, err := s.EndSession(ctx, g.SessionID, "logout", noon); err != nil {
			return err
		}
		_, err := s.RevokeGrantsOf(ctx, g.PersonID, "", g.SessionID, true, "logout", noon)
		return err
	}
	// during runs second on the other node when first has written and not committed, and returns what became of second.
	during := func(first, second func(ctx context.Context, s storage.Store, g storage.Grant) error) (storage.Grant, error) {
		former := seedGrant(t, s)
		g := grantRecord(former.ClientID, former.PersonID)
		g.SessionID = former.SessionID
		done := make(chan error, 1)
		write(t, nodes[0], func(ctx context.Context) error {
			if err := first(ctx, nodes[0], g); err != nil {
				return err
			}
			go func() {
				done <- nodes[1].InTx(context.Background(), func(ctx context.Context) error { return second(ctx, nodes[1], g) })
			}()
			pause(50 * time.Millisecond) // for the other to meet what is held, where there is a second writer
			return nil
		})
		return g, <-done
	}
	g, err := during(logout, insert)
	isError(t, err, storage.ErrNotFound)
	_, err = s.Grant(ctx, g.ID)
	isError(t, err, storage.ErrNotFound)
	g, err = during(insert, logout)
	isError(t, err, nil)
	same(t, must(s.Grant(ctx, g.ID))(t).RevokeReason, "logout")
}

func testTokens(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	seed := func(t *testing.T, g storage.Grant) (access, refresh storage.Token) {
		access, refresh = tokenRecord(storage.AccessToken, g), tokenRecord(storage.RefreshToken, g)
		write(t, s, func(ctx context.Context) error { return s.InsertTokens(ctx, access, refresh) })
		return access, refresh
	}
	read := func(t *testing.T, k storage.Token) storage.Token {
		t.Helper()
		got, err := s.Token(ctx, k.Kind, k.Hash)
		if err != nil {
			t.Fatal(err)
		}
		return got.Token
	}

	t.Run("a token comes with what it stands for, and only as its own kind", func(t *testing.T) {
		p := seedPerson(t, s)
		g := seedGrantOf(t, s, p.ID)
		access, _ := seed(t, g)
		want := storage.PresentedToken{Token: access, Person: p, Grant: storage.Grant{ID: g.ID, ClientID: g.ClientID,
			PersonID: p.ID, SessionID: g.SessionID, AuthRequestID: g.AuthRequestID, Login: g.Login}}
		same(t, must(s.Token(ctx, storage.AccessToken, access.Hash))(t), want)
		_, err := s.Token(ctx, storage.RefreshToken, access.Hash)
		isError(t, err, storage.ErrNotFound)

		alone := grantRecord(g.ClientID, "")
		write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, alone) })
		access, _ = seed(t, alone)
		want = storage.PresentedToken{Token: access, Grant: storage.Grant{ID: alone.ID, ClientID: alone.ClientID,
			AuthRequestID: alone.AuthRequestID, Login: alone.Login}}
		same(t, must(s.Token(ctx, storage.AccessToken, access.Hash))(t), want)
	})
	t.Run("a token tells that its person is disabled, or a phone of that person is", func(t *testing.T) {
		p := seedPerson(t, s)
		g := grantRecord(seedClient(t, s).ID, p.ID)
		write(t, s, func(ctx context.Context) error { return s.InsertGrant(ctx, g) })
		access, _ := seed(t, g)
		f := phoneRecord(p.ID)
		f.DisabledAt = noon
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		same(t, must(s.Token(ctx, access.Kind, access.Hash))(t).Grant.Barred, true)
		f.DisabledAt = time.Time{}
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		same(t, must(s.Token(ctx, access.Kind, access.Hash))(t).Grant.Barred, false)
		p.DisabledAt = noon
		write(t, s, func(ctx context.Context) error { return s.UpdatePerson(ctx, p) })
		same(t, must(s.Token(ctx, access.Kind, access.Hash))(t).Grant.Barred, true)
		_, err := s.Token(ctx, storage.RefreshToken, access.Hash)
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("OA-51 of eight uses of a refresh token exactly one wins", func(t *testing.T) {
		_, refresh := seed(t, seedGrant(t, s))
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			got, _, used, err := s.UseRefreshToken(ctx, refresh.Hash, refresh.ClientID, noon)
			same(t, got.UsedAt, noon)
			return used, err
		}); wins != 1 {
			t.Errorf("%d won", wins)
		}
	})
	t.Run("another client's refresh token, or an access token, cannot be refreshed", func(t *testing.T) {
		access, refresh := seed(t, seedGrant(t, s))
		for _, try := range [][2]string{{refresh.Hash, "another"}, {access.Hash, access.ClientID}, {"none", refresh.ClientID}} {
			refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
				_, _, _, err := s.UseRefreshToken(ctx, try[0], try[1], noon)
				return err
			})
		}
		same(t, read(t, refresh), refresh)
	})
	t.Run("a token is revoked once and cannot be refreshed then", func(t *testing.T) {
		_, refresh := seed(t, seedGrant(t, s))
		write(t, s, func(ctx context.Context) error {
			first, err := s.RevokeToken(ctx, refresh.Hash, noon)
			if err != nil {
				return err
			}
			second, err := s.RevokeToken(ctx, refresh.Hash, noon)
			same(t, []bool{first, second}, []bool{true, false})
			return err
		})
		write(t, s, func(ctx context.Context) error {
			got, _, used, err := s.UseRefreshToken(ctx, refresh.Hash, refresh.ClientID, noon)
			if used || got.RevokedAt.IsZero() {
				t.Errorf("used %t, revoked at %s", used, got.RevokedAt)
			}
			return err
		})
	})
	t.Run("a revoked grant revokes its tokens, those to come as well", func(t *testing.T) {
		g := seedGrant(t, s)
		access, refresh := seed(t, g)
		write(t, s, func(ctx context.Context) error {
			_, err := s.RevokeGrant(ctx, g.ID, "reuse", noon)
			return err
		})
		late, _ := seed(t, g)
		for _, k := range []storage.Token{access, refresh, late} {
			same(t, read(t, k).RevokedAt, noon)
		}
		write(t, s, func(ctx context.Context) error {
			_, got, used, err := s.UseRefreshToken(ctx, refresh.Hash, refresh.ClientID, noon)
			if used || got.RevokedAt.IsZero() {
				t.Error("a refresh token of a revoked grant was used")
			}
			return err
		})
	})
	t.Run("a token of no grant is refused", func(t *testing.T) {
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			return s.InsertTokens(ctx, tokenRecord(storage.AccessToken, storage.Grant{ID: "none"}))
		})
	})
}

func testConsents(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	c := storage.Consent{
		PersonID: seedPerson(t, s).ID, ClientID: seedClient(t, s).ID, Scopes: []string{"openid"}, GrantedAt: noon,
		ExpiresAt: noon.Add(time.Hour),
	}
	_, err := s.Consent(ctx, c.PersonID, c.ClientID)
	isError(t, err, storage.ErrNotFound)
	write(t, s, func(ctx context.Context) error { return s.PutConsent(ctx, c) })
	c.Scopes = []string{"openid", "email"}
	write(t, s, func(ctx context.Context) error { return s.PutConsent(ctx, c) })
	same(t, must(s.Consent(ctx, c.PersonID, c.ClientID))(t), c)
	for _, want := range []bool{true, false} {
		write(t, s, func(ctx context.Context) error {
			got, err := s.DeleteConsent(ctx, c.PersonID, c.ClientID)
			same(t, got, want)
			return err
		})
	}
}

func testAssertions(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	use := func(t *testing.T, until, now time.Time) (fresh bool) {
		write(t, s, func(ctx context.Context) (err error) {
			fresh, err = s.UseOnce(ctx, "client|jti", until, now)
			return err
		})
		return fresh
	}
	t.Run("a key is fresh once until its time, and again after it", func(t *testing.T) {
		until := noon.Add(time.Minute)
		same(t, []bool{use(t, until, noon), use(t, until, noon), use(t, until, until.Add(-time.Millisecond)), use(t, until.Add(time.Minute), until)},
			[]bool{true, false, false, true})
	})
	t.Run("of eight uses at once exactly one is fresh", func(t *testing.T) {
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.UseOnce(ctx, "raced", noon.Add(time.Minute), noon)
		}); wins != 1 {
			t.Errorf("%d were fresh", wins)
		}
	})
}

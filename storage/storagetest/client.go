package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testClients(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("a client comes back as it was stored", func(t *testing.T) {
		c := seedClient(t, s)
		same(t, must(s.Client(ctx, c.ID))(t), c)
		_, err := s.Client(ctx, "none")
		isError(t, err, storage.ErrNotFound)
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.InsertClient(ctx, c) })
	})
	t.Run("of two changes from one reading the second is refused, in the same millisecond too", func(t *testing.T) {
		c := seedClient(t, s)
		first, second := c, c
		first.Name, second.Name = "first", "second"
		write(t, s, func(ctx context.Context) error { return s.UpdateClient(ctx, first, noon) })
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.UpdateClient(ctx, second, noon) })
		got := must(s.Client(ctx, c.ID))(t)
		if got.Name != "first" || !got.UpdatedAt.After(c.UpdatedAt) {
			t.Errorf("got %s of %s", got.Name, got.UpdatedAt)
		}
		got.Name = "third"
		write(t, s, func(ctx context.Context) error { return s.UpdateClient(ctx, got, noon.Add(time.Hour)) })
		same(t, must(s.Client(ctx, c.ID))(t).UpdatedAt, noon.Add(time.Hour))
	})
	t.Run("clients are listed by ID in pages", func(t *testing.T) {
		seedClient(t, s)
		seedClient(t, s)
		all := must(s.ListClients(ctx, "", 1000))(t)
		var paged []storage.Client
		for after := ""; ; {
			page := must(s.ListClients(ctx, after, 1))(t)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			after = page[0].ID
		}
		same(t, paged, all)
	})
	t.Run("a client goes with its grants, tokens and consents", func(t *testing.T) {
		g := seedGrant(t, s)
		token := tokenRecord(storage.AccessToken, g)
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertTokens(ctx, token); err != nil {
				return err
			}
			return s.PutConsent(ctx, storage.Consent{PersonID: g.PersonID, ClientID: g.ClientID})
		})
		write(t, s, func(ctx context.Context) error { return s.DeleteClient(ctx, g.ClientID) })
		_, err := s.Grant(ctx, g.ID)
		isError(t, err, storage.ErrNotFound)
		_, err = s.Token(ctx, token.Kind, token.Hash)
		isError(t, err, storage.ErrNotFound)
		_, err = s.Consent(ctx, g.PersonID, g.ClientID)
		isError(t, err, storage.ErrNotFound)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.DeleteClient(ctx, g.ClientID) })
	})
}

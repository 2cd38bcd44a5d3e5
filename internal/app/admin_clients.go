package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parola-id/parola/idp/oidc"
	"github.com/parola-id/parola/idp/signing"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/outbound"
	"github.com/parola-id/parola/storage"
)

// ClientMetadata describe a client to add, in the terms of RFC 7591.
type ClientMetadata = oidc.Registration

// AddClient adds a client and returns it with its secret in clear, which is kept nowhere; the secret is empty when the
// client has none. A client_id and a client_secret in m are taken, else they are generated. ID tokens are signed with
// ES256 unless m says otherwise. It fails with a *RefusedError when the metadata are not acceptable.
func (b *Base) AddClient(ctx context.Context, m ClientMetadata) (c storage.Client, clear string, err error) {
	c, err = m.Client(b.registrationDefaults(signing.ES256))
	if err != nil {
		return storage.Client{}, "", refuse("%s", withoutLabel(err))
	}
	s, clear, err := b.newClientSecret(ctx, c, m)
	if err != nil {
		return storage.Client{}, "", err
	}
	err = b.store.InTx(ctx, func(ctx context.Context) error { return b.insertClient(ctx, c, s) })
	if err != nil {
		return storage.Client{}, "", fmt.Errorf("add client: %w", err)
	}
	c, err = b.Client(ctx, c.ID)
	return c, clear, err
}

func (b *Base) registrationDefaults(idTokenAlg string) oidc.RegistrationDefaults {
	return oidc.RegistrationDefaults{
		IDTokenAlg: idTokenAlg,
		Outbound:   outbound.New(outbound.Config{AllowLoopback: b.config.Outbound.AllowLoopback}),
	}
}

// usesSecret says whether a client authenticates with a client secret.
func usesSecret(authMethod string) bool {
	return authMethod == "client_secret_basic" || authMethod == "client_secret_post"
}

// newClientSecret makes the record of the client's first secret: a given one hashed slowly, because it may be weak; a
// generated one hashed fast (OA-33). It is nil for a client without.
func (b *Base) newClientSecret(ctx context.Context, c storage.Client, m ClientMetadata) (*storage.ClientSecret, string, error) {
	if !usesSecret(c.AuthMethod) {
		return nil, "", nil
	}
	s := &storage.ClientSecret{CreatedAt: b.clock.Now(), ExpiresAt: m.SecretExpiresAt()}
	if m.ClientSecret == "" {
		clear, hash := oidc.NewClientSecret(b.keys)
		s.Hash, s.KeyID, s.ExpiresAt = hash, b.keys.ID(), time.Time{}
		return s, clear, nil
	}
	if !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(s.CreatedAt) {
		return nil, "", refuse("client_secret_expires_at is past: give a secret that is valid, or leave client_secret out to get a new one")
	}
	hash, err := b.hasher.HashSecret(ctx, m.ClientSecret)
	if err != nil {
		return nil, "", fmt.Errorf("hash client secret: %w", err)
	}
	s.Hash = hash
	return s, m.ClientSecret, nil
}

// insertClient stores a new client with its event, in the caller's transaction. A client id must not equal a `sub`
// (OA-38).
func (b *Base) insertClient(ctx context.Context, c storage.Client, s *storage.ClientSecret) error {
	if _, err := b.store.Client(ctx, c.ID); !errors.Is(err, storage.ErrNotFound) {
		return taken(err, "there is a client %q already", c.ID)
	}
	if _, err := b.store.Person(ctx, c.ID); !errors.Is(err, storage.ErrNotFound) {
		return taken(err, "client_id %q is the sub of a user", c.ID)
	}
	c.CreatedAt = b.clock.Now()
	c.UpdatedAt = c.CreatedAt
	c.Secrets = nil
	if s != nil {
		c.Secrets = []storage.ClientSecret{*s}
	}
	if err := b.store.InsertClient(ctx, c); err != nil {
		return err
	}
	fields, err := differing(storage.Client{}, c)
	if err != nil {
		return err
	}
	return b.write(ctx, clientEvent(audit.AdminClientCreated, c, fields))
}

// updateClient stores a changed client with its event, in the caller's transaction.
func (b *Base) updateClient(ctx context.Context, c storage.Client, fields []string) error {
	if err := b.store.UpdateClient(ctx, c, b.clock.Now()); err != nil {
		return fmt.Errorf("store client: %w", err)
	}
	return b.write(ctx, clientEvent(audit.AdminClientUpdated, c, fields))
}

// clientEvent names the fields, and says in plain words when the client does without PKCE (OA-21).
func clientEvent(kind string, c storage.Client, fields []string) storage.Event {
	e := storage.Event{Kind: kind, ClientID: c.ID, ActorID: actor, Data: map[string]string{"fields": fieldNames(fields)}}
	if c.PKCEOptional {
		e.Data["pkce"] = "optional"
	}
	return e
}

// Client returns one client; its secrets are hashes.
func (b *Base) Client(ctx context.Context, id string) (storage.Client, error) {
	c, err := b.store.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return c, refuse("there is no client %q: `parola client list` shows them", id)
	}
	if err != nil {
		return c, fmt.Errorf("find client: %w", err)
	}
	return c, nil
}

// Clients lists clients by id, after the given one; limit is at most 1000.
func (b *Base) Clients(ctx context.Context, after string, limit int) ([]storage.Client, error) {
	list, err := b.store.ListClients(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	return list, nil
}

// RotateSecret generates a new secret and returns it in clear. The newest of the old ones stays valid for expireOld,
// and no longer than it would have; others end at once, so that at most two are valid (OA-33).
func (b *Base) RotateSecret(ctx context.Context, id string, expireOld time.Duration) (clear string, oldUntil time.Time, err error) {
	clear, hash := oidc.NewClientSecret(b.keys)
	err = b.store.InTx(ctx, func(ctx context.Context) error {
		c, err := b.Client(ctx, id)
		if err != nil {
			return err
		}
		if !usesSecret(c.AuthMethod) {
			return refuse("client %q authenticates with %s and has no secret", id, c.AuthMethod)
		}
		now := b.clock.Now()
		oldUntil = time.Time{}
		kept := stillValid(c.Secrets, now)
		if len(kept) > 1 {
			kept = kept[:1]
		}
		if until := now.Add(expireOld); len(kept) == 1 {
			if kept[0].ExpiresAt.IsZero() || kept[0].ExpiresAt.After(until) {
				kept[0].ExpiresAt = until
			}
			oldUntil = kept[0].ExpiresAt
			if expireOld <= 0 {
				kept, oldUntil = nil, time.Time{}
			}
		}
		c.Secrets = append([]storage.ClientSecret{{Hash: hash, KeyID: b.keys.ID(), CreatedAt: now}}, kept...)
		if err := b.store.UpdateClient(ctx, c, now); err != nil {
			return err
		}
		e := clientEvent(audit.AdminSecretRotated, c, []string{"secrets"})
		if !oldUntil.IsZero() {
			e.Data["old_until"] = oldUntil.Format(time.RFC3339)
		}
		return b.write(ctx, e)
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("rotate client secret: %w", err)
	}
	return clear, oldUntil, nil
}

// stillValid returns the secrets that have not ended, newest first.
func stillValid(secrets []storage.ClientSecret, now time.Time) []storage.ClientSecret {
	valid := slices.DeleteFunc(slices.Clone(secrets), func(s storage.ClientSecret) bool {
		return !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(now)
	})
	slices.SortStableFunc(valid, func(a, b storage.ClientSecret) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return valid
}

// RemoveClient removes a client with its grants and consents: its tokens end with it.
func (b *Base) RemoveClient(ctx context.Context, id string) error {
	err := b.store.InTx(ctx, func(ctx context.Context) error {
		if _, err := b.Client(ctx, id); err != nil {
			return err
		}
		if err := b.store.DeleteClient(ctx, id); err != nil {
			return err
		}
		return b.write(ctx, storage.Event{Kind: audit.AdminClientRemoved, ClientID: id, ActorID: actor})
	})
	if err != nil {
		return fmt.Errorf("remove client: %w", err)
	}
	return nil
}

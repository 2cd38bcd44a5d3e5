package mfa

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

// maxIdentity bounds an identity key hash; WhatsApp's have twelve characters.
const maxIdentity = 64

// identifies says whether a report tells which WhatsApp account a message goes to. Meta's example tells it with "sent".
// What comes with a failure may be the hash of the account that the message was kept from.
func identifies(r Report) bool {
	onItsWay := r.Status == storage.DeliverySent || r.Status == storage.DeliveryDelivered || r.Status == storage.DeliveryRead
	return onItsWay && !r.NotRequested && r.Channel == storage.WhatsApp && isIdentity(r.Identity)
}

func isIdentity(s string) bool {
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
	return s != "" && len(s) <= maxIdentity && strings.Trim(s, base64) == ""
}

// identityFor is the account that a message must reach; empty when any will do. One that cannot be opened any more is an
// error and not "any": a recycled number must not become welcome because a root secret is gone.
func (s *Service) identityFor(d storage.Delivery, phone storage.PhoneFactor) (string, error) {
	if !s.settings.BindIdentity || d.Channel != storage.WhatsApp || len(phone.Identity) == 0 {
		return "", nil
	}
	identity, err := s.keys.Open(secret.IdentitySeal, phone.ID, phone.Identity)
	if err != nil {
		return "", fmt.Errorf("open identity of phone: %w", err)
	}
	return string(identity), nil
}

// bindIdentity binds a phone that has no identity yet to the WhatsApp account which the passcode of a verified challenge
// had reached. An SMS beside it proves nothing of that account: the passcode may have been read there.
func (s *Service) bindIdentity(ctx context.Context, c storage.Challenge, ds []storage.Delivery) error {
	if !s.settings.BindIdentity || smsUsed(ds) {
		return nil
	}
	identity, d, found := s.reached(ds)
	if !found {
		return nil
	}
	bound, err := s.store.BindIdentity(ctx, c.PhoneID, s.keys.Seal(secret.IdentitySeal, c.PhoneID, identity))
	if err != nil || !bound {
		return err
	}
	return s.audit.Write(ctx, deliveryEvent(ctx, audit.IdentityBound, c, d))
}

// bindLate is bindIdentity for a receipt that came after the passcode had been entered. Where both happen at once, and
// neither sees the other, the next login binds.
func (s *Service) bindLate(ctx context.Context, c storage.Challenge) error {
	ds, err := s.store.DeliveriesOf(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.bindIdentity(ctx, c, ds)
}

// reached is the one account that the messages of a verified challenge went to, with the newest of them: that the passcode
// was entered proves that one arrived, whether or not its receipt has. Two accounts prove neither: the passcode was the
// same in both.
func (s *Service) reached(ds []storage.Delivery) (identity []byte, newest storage.Delivery, found bool) {
	for _, d := range slices.Backward(ds) {
		if len(d.Identity) == 0 || d.State == storage.DeliveryFailed {
			continue
		}
		opened, err := s.keys.Open(secret.IdentitySeal, d.ID, d.Identity)
		if err != nil {
			s.log.Warn("identity of a delivery cannot be opened", "delivery", d.ID, "err", err)
			continue
		}
		switch {
		case !found:
			identity, newest, found = opened, d, true
		case string(opened) != string(identity):
			return nil, storage.Delivery{}, false
		}
	}
	return identity, newest, found
}

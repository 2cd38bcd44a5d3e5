package storagetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// firstRelease are rows as the release of schema version 1 wrote them: a login under way and what it belongs to.
var firstRelease = []string{
	`INSERT INTO persons (id, username, claims, sms_forbidden, created_at, updated_at, disabled_at)
		VALUES ('p1', 'ada', NULL, FALSE, 1000, 1000, NULL)`,
	`INSERT INTO phones (id, person_id, sealed, hash, country, last_two, verified_at, created_at, failures, disabled_at,
		no_whatsapp_until, last_used_at) VALUES ('f1', 'p1', NULL, 'h1', 'IT', '67', 1000, 1000, 2, NULL, 2000, NULL)`,
	`INSERT INTO clients (id, record, created_at, updated_at) VALUES ('shop', '{"client_id":"shop"}', 1000, 1000)`,
	`INSERT INTO sessions (id, token_hash, person_id, auth_time, acr, amr, channel, created_at, last_seen_at, expires_at,
		ended_at, end_reason, user_agent, source_addr)
		VALUES ('s1', 't1', 'p1', 1000, 'a', '["pwd"]', 'whatsapp', 1000, 1000, 9000, NULL, '', 'ua', '192.0.2.1')`,
	`INSERT INTO challenges (id, person_id, phone_id, auth_request_id, purpose, nonce, browser_hash, details_hash, key_id,
		client_id, correlation_id, source_addr, locale, policy, created_at, expires_at, tries, max_tries, ended_at, ended_as,
		fallback_at, identity_bar, due_at, phone_hash, phone_country, phone_last_two)
		VALUES ('c1', 'p1', 'f1', 'a1', 'login', NULL, NULL, NULL, 'k', 'shop', 'x', '192.0.2.1', 'it',
		'{"fallback":"allow","not_entered":"send"}', 1000, 9000, 1, 5, NULL, '', NULL, FALSE, 5000, 'h1', 'IT', '67')`,
	`INSERT INTO deliveries (id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at, sending_at,
		lease_until, accepted_at, sent_at, delivered_at, read_at, failed_at, message_hash, failure_class, failure_code)
		VALUES ('d1', 'c1', 'whatsapp', 'meta', 'first', FALSE, 'accepted', 1, 1000, 1000, 1100, 2000, 1200, NULL, NULL, NULL,
		NULL, 'm1', '', '')`,
	`INSERT INTO deliveries (id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at, sending_at,
		lease_until, accepted_at, sent_at, delivered_at, read_at, failed_at, message_hash, failure_class, failure_code)
		VALUES ('d2', 'c1', 'sms', 'twilio', 'asked', FALSE, 'queued', 0, 1500, 1500, NULL, NULL, NULL, NULL, NULL, NULL,
		NULL, '', '', '')`,
	`INSERT INTO receipts (delivery_id, status, at, received_at, failure_code) VALUES ('d1', 'sent', 1300, 1300, '')`,
	`INSERT INTO buckets (id, full_at, spacing, tolerance) VALUES ('b1', 60000000, 60000000, 60000000)`,
	`INSERT INTO events (id, version, at, kind, outcome, reason, severity, person_id, actor_id, client_id, session_id,
		auth_request_id, grant_id, challenge_id, delivery_id, jti, correlation_id, trace_id, source_addr, user_agent, channel,
		node, release, data, sequence, prev_hash, hash)
		VALUES ('e1', 1, 1000, 'authn.otp.sent', 'success', '', 'info', 'p1', '', 'shop', '', 'a1', '', 'c1', 'd1', '', 'x', '',
		'192.0.2.1', 'ua', 'whatsapp', 'n', 'v0', '{}', NULL, NULL, NULL)`,
}

// RunUpgrade brings a database with the rows of the first release up to this one, and goes on with what was under way.
func RunUpgrade(t *testing.T, open func(t testing.TB) *sqlstore.Store, exec func(t testing.TB, statement string, args ...any)) {
	ctx := context.Background()
	s := open(t)
	if _, err := s.MigrateTo(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for _, row := range firstRelease {
		exec(t, row)
	}
	versions, err := s.Migrate(ctx)
	if err != nil || len(versions) == 0 || versions[0] != 2 {
		t.Fatalf("applied %v: %v", versions, err)
	}
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

	phone := storage.PhoneFactor{
		ID: "f1", PersonID: "p1", Hash: "h1", Country: "IT", LastTwo: "67", VerifiedAt: at(1000), CreatedAt: at(1000), Failures: 2,
		NoWhatsAppUntil: at(2000),
	}
	same(t, must(s.Phone(ctx, "f1"))(t), phone)
	challenge := storage.Challenge{
		ID: "c1", PersonID: "p1", PhoneID: "f1", AuthRequestID: "a1", Purpose: storage.PurposeLogin, KeyID: "k",
		PhoneHash: "h1", PhoneCountry: "IT", PhoneLastTwo: "67", ClientID: "shop", CorrelationID: "x", SourceAddr: "192.0.2.1",
		Locale: "it", Policy: storage.ChallengePolicy{Fallback: "allow", NotEntered: "send"}, CreatedAt: at(1000),
		ExpiresAt: at(9000), Tries: 1, MaxTries: 5, DueAt: at(5000),
	}
	accepted := storage.Delivery{
		ID: "d1", ChallengeID: "c1", Channel: storage.WhatsApp, Carrier: "meta", Trigger: "first", State: storage.DeliveryAccepted,
		Calls: 1, CreatedAt: at(1000), DueAt: at(1000), SendingAt: at(1100), LeaseUntil: at(2000), AcceptedAt: at(1200),
		MessageHash: "m1",
	}
	queued := storage.Delivery{
		ID: "d2", ChallengeID: "c1", Channel: storage.SMS, Carrier: "twilio", Trigger: "asked", State: storage.DeliveryQueued,
		CreatedAt: at(1500), DueAt: at(1500),
	}
	c, ds, err := s.ChallengeWithDeliveries(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, c, challenge)
	same(t, ds, []storage.Delivery{accepted, queued})
	same(t, must(s.NextDue(ctx))(t), queued.DueAt)
	same(t, len(must(s.UnsealedEvents(ctx, 10))(t)), 1)

	write(t, s, func(ctx context.Context) error {
		claimed, err := s.ClaimQueued(ctx, at(3000), at(4000), 10)
		same(t, len(claimed), 1)
		return err
	})
	write(t, s, func(ctx context.Context) error {
		accepted.State, accepted.DeliveredAt, accepted.Identity = storage.DeliveryDelivered, at(3500), []byte{1}
		updated, err := s.UpdateDelivery(ctx, accepted, storage.DeliveryAccepted)
		same(t, updated, true)
		return err
	})
	write(t, s, func(ctx context.Context) error {
		refusal, err := s.Take(ctx, at(0), storage.Throttle{Key: "b1", Interval: time.Minute, Burst: 1})
		same(t, refusal, &storage.Refusal{Key: "b1", RetryAt: at(60000)})
		return err
	})
	write(t, s, func(ctx context.Context) error {
		bound, err := s.BindIdentity(ctx, "f1", []byte{1})
		same(t, bound, true)
		return err
	})

	// A node of the first release goes on writing while the next one starts.
	exec(t, `INSERT INTO deliveries (id, challenge_id, channel, carrier, cause, automatic, state, calls, created_at, due_at,
		message_hash, failure_class, failure_code)
		VALUES ('d3', 'c1', 'sms', 'twilio', 'again', FALSE, 'queued', 0, 1600, 1600, '', '', '')`)
	late := queued
	late.ID, late.Trigger, late.CreatedAt, late.DueAt = "d3", "again", at(1600), at(1600)
	same(t, must(s.Delivery(ctx, "d3"))(t), late)
}

// FormerRelease makes an empty database one of the second release, with a row in every table.
func FormerRelease(t testing.TB, s *sqlstore.Store, exec func(t testing.TB, statement string, args ...any)) {
	t.Helper()
	if _, err := s.MigrateTo(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	for _, w := range secondRelease {
		exec(t, w.insert("1"))
	}
}

// RunSideBySide has the release before and this one work on one database (REL-10): rows of the second release in every
// table, this release's schema, and then the statements of both on the rows of both.
func RunSideBySide(t *testing.T, open func(t testing.TB) *sqlstore.Store, exec func(t testing.TB, statement string, args ...any)) {
	ctx := context.Background()
	s := open(t)
	FormerRelease(t, s, exec)
	if versions, err := s.Migrate(ctx); err != nil || len(versions) == 0 || versions[0] != 3 {
		t.Fatalf("applied %v: %v", versions, err)
	}
	for _, w := range secondRelease {
		exec(t, w.insert("2")) // what this release added has a default
	}
	person := seedPerson(t, s)
	phone := seedPhone(t, s, person.ID)
	delivery := seedDelivery(t, s)
	for _, w := range secondRelease {
		exec(t, "SELECT "+w.columns+" FROM "+w.table)
	}
	for _, n := range []string{"1", "2"} {
		for _, change := range secondReleaseChanges {
			exec(t, strings.ReplaceAll(change, "#", n))
		}
		c, ds, err := s.ChallengeWithDeliveries(ctx, "c"+n)
		if err != nil {
			t.Fatal(err)
		}
		if c.Tries != 2 || len(ds) != 1 || ds[0].State != storage.DeliverySending || ds[0].Calls != 1 || c.Trace != "" {
			t.Errorf("the challenge of the older release is %+v with %+v", c, ds)
		}
		token, err := s.Token(ctx, storage.RefreshToken, "r"+n)
		if err != nil || token.UsedAt.IsZero() {
			t.Errorf("what the older release used: %+v, %v", token, err)
		}
		// Used there is used here.
		write(t, s, func(ctx context.Context) error {
			_, used, err := s.UseAuthCode(ctx, "c"+n, "shop"+n, noon)
			same(t, used, false)
			return err
		})
	}
	// And the other way round: the older release changes rows that this one wrote.
	exec(t, `UPDATE challenges SET tries = tries + 1 WHERE id = $1 AND ended_at IS NULL`, delivery.ChallengeID)
	exec(t, `UPDATE phones SET failures = failures + 1 WHERE id = $1`, phone.ID)
	same(t, must(s.Challenge(ctx, delivery.ChallengeID))(t).Tries, 1)
	same(t, must(s.Phone(ctx, phone.ID))(t).Failures, phone.Failures+1)
	same(t, len(must(s.UnsealedEvents(ctx, 10))(t)), 2) // the older release's events are waiting for any sealer
}

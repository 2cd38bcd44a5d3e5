package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testSubjects(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	// whole stores one of everything that belongs to a person, and returns the id of an AuthRequest.
	whole := func() (person storage.Person, authRequest string) {
		person = seedPerson(t, s)
		client := seedClient(t, s)
		phone := seedPhone(t, s, person.ID)
		r, g, x := authRequestRecord(), grantRecord(client.ID, person.ID), sessionRecord(person.ID)
		r.Progress.PersonID, r.Progress.Username = person.ID, person.Username
		c := challengeRecord()
		c.PersonID, c.PhoneID, c.AuthRequestID = person.ID, phone.ID, r.ID
		d := deliveryRecord(c.ID)
		write(t, s, func(ctx context.Context) error {
			for _, err := range []error{
				s.InsertAuthRequest(ctx, r), s.InsertSession(ctx, x), s.InsertGrant(ctx, g),
				s.InsertTokens(ctx, tokenRecord(storage.RefreshToken, g)), s.InsertChallenge(ctx, c), s.InsertDelivery(ctx, d),
				s.PutPassword(ctx, storage.PasswordFactor{PersonID: person.ID, Hash: "h", KeyID: "k", UpdatedAt: noon}),
				s.PutConsent(ctx, storage.Consent{PersonID: person.ID, ClientID: client.ID, Scopes: []string{"openid"}, GrantedAt: noon}),
				s.InsertNotice(ctx, storage.Notice{ID: storage.NewID(), ChallengeID: c.ID, PersonID: person.ID, PhoneID: phone.ID,
					Channel: storage.WhatsApp, Kind: storage.NoticeSignedIn, State: storage.DeliveryQueued, CreatedAt: noon, DueAt: noon}),
			} {
				if err != nil {
					return err
				}
			}
			_, err := s.InsertReceipts(ctx, []storage.Receipt{{DeliveryID: d.ID, Status: storage.DeliverySent, At: noon}})
			return err
		})
		return person, r.ID
	}
	sizes := func(personID string) [6]int {
		r := must(s.PersonRecords(ctx, personID))(t)
		return [6]int{len(r.Sessions), len(r.Grants), len(r.Consents), len(r.Challenges), len(r.Deliveries), len(r.Notices)}
	}
	ada, adas := whole()
	bea, beas := whole()

	t.Run("DAT-07 the records of a person are all of theirs and nobody else's", func(t *testing.T) {
		r := must(s.PersonRecords(ctx, ada.ID))(t)
		same(t, r.Person, ada)
		same(t, r.Password.Hash, "h")
		same(t, r.Phone.PersonID, ada.ID)
		same(t, sizes(ada.ID), [6]int{1, 1, 1, 1, 1, 1})
		same(t, r.Deliveries[0].ChallengeID, r.Challenges[0].ID)
		_, err := s.PersonRecords(ctx, "nobody")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("DAT-04 erasing takes everything along, and leaves the others", func(t *testing.T) {
		refused(t, s, errChanged, func(ctx context.Context) error {
			if err := s.ErasePerson(ctx, ada.ID); err != nil {
				t.Error(err)
			}
			return errChanged
		})
		same(t, sizes(ada.ID), [6]int{1, 1, 1, 1, 1, 1})
		records := must(s.PersonRecords(ctx, ada.ID))(t)
		only := authRequestRecord() // one that came no further than the password
		only.Progress.PersonID = ada.ID
		write(t, s, func(ctx context.Context) error { return s.InsertAuthRequest(ctx, only) })

		write(t, s, func(ctx context.Context) error { return s.ErasePerson(ctx, ada.ID) })
		for what, find := range map[string]func() error{
			"person":              func() error { _, err := s.Person(ctx, ada.ID); return err },
			"phone":               func() error { _, err := s.Phone(ctx, records.Phone.ID); return err },
			"session":             func() error { _, err := s.Session(ctx, records.Sessions[0].ID); return err },
			"grant":               func() error { _, err := s.Grant(ctx, records.Grants[0].ID); return err },
			"consent":             func() error { _, err := s.Consent(ctx, ada.ID, records.Consents[0].ClientID); return err },
			"challenge":           func() error { _, err := s.Challenge(ctx, records.Challenges[0].ID); return err },
			"delivery":            func() error { _, err := s.Delivery(ctx, records.Deliveries[0].ID); return err },
			"AuthRequest":         func() error { _, err := s.AuthRequest(ctx, adas); return err },
			"unfinished login":    func() error { _, err := s.AuthRequest(ctx, only.ID); return err },
			"anything to be told": func() error { return erasedAgain(s, ada.ID) },
		} {
			if err := find(); err == nil {
				t.Errorf("%s: still there", what)
			}
		}
		same(t, sizes(bea.ID), [6]int{1, 1, 1, 1, 1, 1})
		must(s.AuthRequest(ctx, beas))(t)
	})
}

func erasedAgain(s storage.Store, personID string) error {
	return s.InTx(context.Background(), func(ctx context.Context) error { return s.ErasePerson(ctx, personID) })
}

func testEpochs(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("REL-13 of several nodes one raises the epoch", func(t *testing.T) {
		same(t, must(s.Epoch(ctx))(t), int64(0))
		if n := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.RaiseEpoch(ctx, 0, 3)
		}); n != 1 {
			t.Errorf("%d nodes raised it", n)
		}
		same(t, must(s.Epoch(ctx))(t), int64(3))
	})

	// end ends a kind in steps of two.
	end := func(t *testing.T, kind storage.Issued) (total int) {
		after := ""
		for {
			var n int
			write(t, s, func(ctx context.Context) (err error) {
				n, after, err = s.EndIssued(ctx, kind, after, noon.Add(time.Minute), 2)
				return err
			})
			if total += n; after == "" {
				return total
			}
		}
	}
	t.Run("REL-13 what was issued ends, bounded, and what had ended stays as it ended", func(t *testing.T) {
		person, client := seedPerson(t, s), seedClient(t, s)
		var sessions []storage.Session
		var grants []storage.Grant
		var tokens []storage.Token
		for range 5 {
			sessions, grants = append(sessions, sessionRecord(person.ID)), append(grants, grantRecord(client.ID, person.ID))
			tokens = append(tokens, tokenRecord(storage.RefreshToken, grants[len(grants)-1]))
		}
		write(t, s, func(ctx context.Context) error {
			for i := range sessions {
				if err := s.InsertSession(ctx, sessions[i]); err != nil {
					return err
				}
				if err := s.InsertGrant(ctx, grants[i]); err != nil {
					return err
				}
			}
			if err := s.InsertTokens(ctx, tokens...); err != nil {
				return err
			}
			_, err := s.EndSession(ctx, sessions[0].ID, "logout", noon)
			return err
		})
		same(t, end(t, storage.IssuedSessions), 4)
		same(t, end(t, storage.IssuedGrants), 5)
		same(t, end(t, storage.IssuedGrants), 0)
		same(t, must(s.Session(ctx, sessions[0].ID))(t).EndReason, "logout")
		same(t, must(s.Session(ctx, sessions[1].ID))(t).EndReason, "epoch")
		write(t, s, func(ctx context.Context) error {
			_, g, used, err := s.UseRefreshToken(ctx, tokens[0].Hash, client.ID, noon)
			same(t, used, false)
			same(t, g.RevokeReason, "epoch")
			return err
		})
	})
	t.Run("REL-13 no message goes out that had been announced, and no challenge goes on", func(t *testing.T) {
		queued := seedDelivery(t, s)
		notice := storage.Notice{ID: storage.NewID(), ChallengeID: queued.ChallengeID, Channel: storage.WhatsApp,
			Kind: storage.NoticeSignedIn, State: storage.DeliveryQueued, CreatedAt: noon, DueAt: noon}
		request := authRequestRecord()
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertNotice(ctx, notice); err != nil {
				return err
			}
			return s.InsertAuthRequest(ctx, request)
		})
		for _, kind := range []storage.Issued{storage.IssuedChallenges, storage.IssuedDeliveries, storage.IssuedNotices, storage.IssuedAuthRequests} {
			same(t, end(t, kind), 1)
		}
		same(t, must(s.Challenge(ctx, queued.ChallengeID))(t).End, storage.ChallengeCancelled)
		same(t, must(s.AuthRequest(ctx, request.ID))(t).EndedAt, noon.Add(time.Minute))
		write(t, s, func(ctx context.Context) error {
			deliveries, err := s.ClaimQueued(ctx, noon.Add(time.Hour), noon.Add(2*time.Hour), 10)
			same(t, len(deliveries), 0)
			if err != nil {
				return err
			}
			notices, err := s.ClaimNotices(ctx, noon.Add(time.Hour), noon.Add(2*time.Hour), 10)
			same(t, len(notices), 0)
			return err
		})
	})
}

package audit

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

func TestTrail(t *testing.T) {
	storagetest.EachDatabase(t, func(t *testing.T, db storagetest.Database) {
		b := newBench(t, db)
		write := func(events ...storage.Event) {
			b.clock.Advance(time.Millisecond)
			err := b.store.InTx(context.Background(), func(ctx context.Context) error { return b.writer.Write(ctx, events...) })
			if err != nil {
				t.Fatal(err)
			}
		}
		// The first login, with a fallback; then a second one that takes up its session; then the refresh and the end.
		write(storage.Event{Kind: AuthorizeStarted, AuthRequestID: "ar1", ClientID: "c1", CorrelationID: "x1"})
		write(storage.Event{Kind: PasswordSuccess, AuthRequestID: "ar1", CorrelationID: "x2"})
		write(storage.Event{Kind: PasscodeQueued, AuthRequestID: "ar1", ChallengeID: "ch1", DeliveryID: "d1"})
		write(storage.Event{Kind: PasscodeSent, ChallengeID: "ch1", DeliveryID: "d1", Channel: "whatsapp"})
		write(storage.Event{Kind: PasscodeReceipt, ChallengeID: "ch1", DeliveryID: "d1", Outcome: Failure},
			storage.Event{Kind: PasscodeFallback, ChallengeID: "ch1", DeliveryID: "d2"},
			storage.Event{Kind: PasscodeQueued, ChallengeID: "ch1", DeliveryID: "d2", Channel: "sms"})
		write(storage.Event{Kind: PasscodeSuccess, AuthRequestID: "ar1", ChallengeID: "ch1"},
			storage.Event{Kind: SessionCreated, AuthRequestID: "ar1", SessionID: "s1"})
		write(storage.Event{Kind: CodeIssued, AuthRequestID: "ar1", SessionID: "s1", GrantID: "g1"})
		write(storage.Event{Kind: CodeRedeemed, AuthRequestID: "ar1", GrantID: "g1"},
			storage.Event{Kind: TokenIssued, AuthRequestID: "ar1", GrantID: "g1", JTI: "j1"})
		write(storage.Event{Kind: AuthorizeStarted, AuthRequestID: "ar2", ClientID: "c2", CorrelationID: "x9"})
		write(storage.Event{Kind: CodeIssued, AuthRequestID: "ar2", SessionID: "s1", GrantID: "g2"})
		write(storage.Event{Kind: TokenIssued, AuthRequestID: "ar2", GrantID: "g2", JTI: "j2"})
		write(storage.Event{Kind: TokenRefreshed, GrantID: "g1", JTI: "j3"})
		write(storage.Event{Kind: AdminAuditRead, AuthRequestID: "ar1"})
		write(storage.Event{Kind: SessionEnded, SessionID: "s1"}, storage.Event{Kind: TokenRevoked, SessionID: "s1", GrantID: "g1"})
		write(storage.Event{Kind: AuthorizeStarted, AuthRequestID: "stranger", CorrelationID: "x5"})

		first := []string{AuthorizeStarted, PasswordSuccess, PasscodeQueued, PasscodeSent, PasscodeReceipt, PasscodeFallback,
			PasscodeQueued, PasscodeSuccess, SessionCreated, CodeIssued, CodeRedeemed, TokenIssued, TokenRefreshed, SessionEnded,
			TokenRevoked}
		second := []string{AuthorizeStarted, CodeIssued, TokenIssued, SessionEnded}
		for _, c := range []struct {
			by, id string
			want   []string
		}{
			{"AuthRequest", "ar1", first},
			{"challenge", "ch1", first},
			{"grant", "g1", first},
			{"jti of the first token", "j1", first},
			{"jti of a refreshed token", "j3", first},
			{"correlation id", "x1", first},
			{"correlation id of one step", "x2", first},
			{"AuthRequest of the second login", "ar2", second},
			{"jti of the second login", "j2", second},
			{"id of nothing", "none", nil},
			{"empty id", "", nil},
		} {
			got, err := Trail(context.Background(), b.store, c.id)
			if err != nil {
				t.Fatal(err)
			}
			if kinds := kindsOf(got); !slices.Equal(kinds, c.want) {
				t.Errorf("by %s:\ngot  %v\nwant %v", c.by, kinds, c.want)
			}
		}
		both, err := Trail(context.Background(), b.store, "s1")
		if err != nil {
			t.Fatal(err)
		}
		if len(both) != len(first)+3 {
			t.Errorf("by session: %v", kindsOf(both))
		}
	})
}

func kindsOf(events []storage.Event) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

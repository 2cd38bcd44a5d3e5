package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testDeliveries(t *testing.T, db Database) {
	t.Run("due challenges", func(t *testing.T) { testDue(t, db) })
	s := db.Open(t, Options{})
	ctx := context.Background()
	claim := func(t *testing.T, s storage.Store, now time.Time, limit int) (claimed []storage.Delivery) {
		write(t, s, func(ctx context.Context) (err error) {
			claimed, err = s.ClaimQueued(ctx, now, now.Add(15*time.Second), limit)
			return err
		})
		return claimed
	}
	update := func(t *testing.T, d storage.Delivery, from ...storage.DeliveryState) (updated bool) {
		write(t, s, func(ctx context.Context) (err error) {
			updated, err = s.UpdateDelivery(ctx, d, from...)
			return err
		})
		return updated
	}

	t.Run("a delivery is claimed for sending when it is due", func(t *testing.T) {
		d := seedDelivery(t, s)
		same(t, must(s.Delivery(ctx, d.ID))(t), d)
		same(t, must(s.NextDue(ctx))(t), d.DueAt)
		same(t, claim(t, s, d.DueAt.Add(-time.Millisecond), 10), []storage.Delivery{})
		d.State, d.SendingAt, d.LeaseUntil, d.Calls = storage.DeliverySending, noon, noon.Add(15*time.Second), 1
		same(t, claim(t, s, noon, 10), []storage.Delivery{d})
		same(t, claim(t, s, noon, 10), []storage.Delivery{})
		same(t, must(s.Delivery(ctx, d.ID))(t), d)
		same(t, must(s.NextDue(ctx))(t), d.LeaseUntil)
		_, err := s.Delivery(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("those of busy carriers stay where they are, and do not make anything due", func(t *testing.T) {
		c := seedChallenge(t, s)
		byCarrier := make(map[string]storage.Delivery)
		for i, carrier := range []string{"slow", "slower", "quick"} {
			d := deliveryRecord(c.ID)
			d.Carrier, d.DueAt = carrier, noon.Add(time.Duration(i-10)*time.Minute)
			write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, d) })
			byCarrier[carrier] = d
		}
		same(t, must(s.NextDue(ctx, "slow"))(t), byCarrier["slower"].DueAt)
		same(t, must(s.NextDue(ctx, "slower", "slow"))(t), byCarrier["quick"].DueAt)
		claimed := func(busy ...string) (carriers []string) {
			write(t, s, func(ctx context.Context) error {
				ds, err := s.ClaimQueued(ctx, noon, noon.Add(15*time.Second), 1, busy...)
				for _, d := range ds {
					carriers = append(carriers, d.Carrier)
				}
				return err
			})
			return carriers
		}
		same(t, claimed("slow", "slower"), []string{"quick"})
		same(t, claimed("slow", "slower"), []string{})
		same(t, claimed("quick"), []string{"slow"})
		same(t, claimed(), []string{"slower"})
	})
	t.Run("one left in sending past its lease is unknown, once", func(t *testing.T) {
		d := seedDelivery(t, s)
		claim(t, s, noon, 10)
		abandoned := func(now time.Time) (ids []string) {
			write(t, s, func(ctx context.Context) error {
				found, err := s.ClaimAbandoned(ctx, now, 10)
				for _, f := range found {
					if f.State != storage.DeliveryUnknown {
						t.Errorf("state is %s", f.State)
					}
					if f.ID == d.ID {
						ids = append(ids, f.ID)
					}
				}
				return err
			})
			return ids
		}
		same(t, abandoned(noon.Add(15*time.Second)), []string{})
		same(t, abandoned(noon.Add(16*time.Second)), []string{d.ID})
		same(t, abandoned(noon.Add(16*time.Second)), []string{})
		same(t, must(s.Delivery(ctx, d.ID))(t).State, storage.DeliveryUnknown)
	})
	t.Run("two nodes never claim the same delivery", func(t *testing.T) {
		c := seedChallenge(t, s)
		for range 60 {
			write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, deliveryRecord(c.ID)) })
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		times := make(map[string]int)
		for _, node := range append(db.two(t), db.two(t)...) {
			wg.Go(func() {
				for range 15 {
					claimed := claim(t, node, noon, 3)
					if len(claimed) > 3 {
						t.Errorf("claimed %d, more than asked for", len(claimed))
					}
					mu.Lock()
					for _, d := range claimed {
						times[d.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		onlyOnce(t, times, 60)
	})
	t.Run("an update needs one of the states it names", func(t *testing.T) {
		d := seedDelivery(t, s)
		d.State, d.AcceptedAt, d.SentAt, d.MessageHash = storage.DeliverySent, noon, noon.Add(time.Second), "message of "+d.ID
		same(t, update(t, d, storage.DeliverySending, storage.DeliveryAccepted), false)
		same(t, update(t, d), false)
		same(t, update(t, d, storage.DeliverySending, storage.DeliveryQueued), true)
		same(t, must(s.Delivery(ctx, d.ID))(t), d)
		same(t, must(s.DeliveriesByMessage(ctx, []string{d.MessageHash}))(t), []storage.Delivery{d})
		d.State, d.FailedAt, d.FailureClass, d.FailureCode = storage.DeliveryFailed, noon, "N", "131026"
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.UpdateDelivery(ctx, d, storage.DeliverySent)
		}); wins != 1 {
			t.Errorf("%d updated it", wins)
		}
		same(t, must(s.Delivery(ctx, d.ID))(t), d)
	})
	t.Run("an update that waited for another looks at the state that it left", func(t *testing.T) {
		d := seedDelivery(t, s)
		var updated int
		for i := range 12 { // back and forth between two states: both are named, so none is refused
			d.State = deliveryStates[i%2]
			updated += race(t, 4, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
				return s.UpdateDelivery(ctx, d, storage.DeliveryQueued, storage.DeliverySending)
			})
		}
		same(t, updated, 48)
	})
	t.Run("a message belongs to one delivery, and no message to any", func(t *testing.T) {
		d, e := seedDelivery(t, s), seedDelivery(t, s)
		same(t, must(s.DeliveriesByMessage(ctx, []string{""}))(t), []storage.Delivery{})
		d.MessageHash, e.MessageHash = "one", "one"
		same(t, update(t, d, storage.DeliveryQueued), true)
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error {
			_, err := s.UpdateDelivery(ctx, e, storage.DeliveryQueued)
			return err
		})
	})
	t.Run("a challenge's deliveries come oldest first", func(t *testing.T) {
		c := seedChallenge(t, s)
		second, first := deliveryRecord(c.ID), deliveryRecord(c.ID)
		second.CreatedAt = noon.Add(time.Second)
		write(t, s, func(ctx context.Context) error {
			if err := s.InsertDelivery(ctx, second); err != nil {
				return err
			}
			return s.InsertDelivery(ctx, first)
		})
		same(t, must(s.DeliveriesOf(ctx, c.ID))(t), []storage.Delivery{first, second})
	})
	t.Run("WH-05 a receipt is new once per delivery and status", func(t *testing.T) {
		d := seedDelivery(t, s)
		r := storage.Receipt{DeliveryID: d.ID, Status: storage.DeliveryDelivered, At: noon, ReceivedAt: noon}
		if wins := race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			fresh, err := s.InsertReceipts(ctx, []storage.Receipt{r})
			return len(fresh) > 0, err
		}); wins != 1 {
			t.Errorf("%d were new", wins)
		}
		r.Status = storage.DeliveryRead
		write(t, s, func(ctx context.Context) error {
			fresh, err := s.InsertReceipts(ctx, []storage.Receipt{r})
			same(t, fresh, []storage.Receipt{r})
			return err
		})
		r.DeliveryID = "none"
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			_, err := s.InsertReceipts(ctx, []storage.Receipt{r})
			return err
		})
	})
}

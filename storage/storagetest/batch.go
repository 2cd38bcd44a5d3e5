package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

var deliveryStates = []storage.DeliveryState{
	storage.DeliveryQueued, storage.DeliverySending, storage.DeliveryAccepted, storage.DeliverySent, storage.DeliveryDelivered,
	storage.DeliveryRead, storage.DeliveryFailed, storage.DeliveryUnknown, storage.DeliverySkipped,
}

// testBatches holds what is done to many deliveries in one statement to what is done to one.
func testBatches(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	update := func(t *testing.T, moves ...storage.DeliveryMove) (updated []string) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			updated, err = s.UpdateDeliveries(ctx, moves)
			return err
		})
		slices.Sort(updated)
		return updated
	}

	t.Run("deliveries are found by many ids or messages at once", func(t *testing.T) {
		var want []storage.Delivery
		ids, hashes := []string{"gone"}, []string{"gone", ""}
		challenge := seedChallenge(t, s)
		for range 700 {
			d := deliveryRecord(challenge.ID)
			d.State, d.MessageHash = storage.DeliveryAccepted, "message of "+d.ID
			want, ids, hashes = append(want, d), append(ids, d.ID, d.ID), append(hashes, d.MessageHash)
		}
		write(t, s, func(ctx context.Context) error {
			for _, d := range want {
				if err := s.InsertDelivery(ctx, d); err != nil {
					return err
				}
			}
			return nil
		})
		slices.SortFunc(want, func(a, b storage.Delivery) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
		same(t, must(s.DeliveriesByID(ctx, ids))(t), want)
		same(t, must(s.DeliveriesByMessage(ctx, hashes))(t), want)
		same(t, must(s.DeliveriesByID(ctx, nil))(t), []storage.Delivery{})
		same(t, must(s.DeliveriesByMessage(ctx, []string{"", "none"}))(t), []storage.Delivery{})
	})
	t.Run("each is updated from its own state, as one alone would be", func(t *testing.T) {
		challenge := seedChallenge(t, s)
		var batch []storage.DeliveryMove
		var single, want []string
		var both [][2]string
		for i, stored := range deliveryStates {
			for j, from := range deliveryStates {
				d := deliveryRecord(challenge.ID)
				d.State = stored
				twin := d
				twin.ID = storage.NewID()
				write(t, s, func(ctx context.Context) error {
					if err := s.InsertDelivery(ctx, d); err != nil {
						return err
					}
					return s.InsertDelivery(ctx, twin)
				})
				next := func(id string) storage.Delivery {
					return storage.Delivery{
						ID: id, State: deliveryStates[(i+j)%len(deliveryStates)], Carrier: "infobip", Tried: []string{"twilio"}, Cost: 99,
						DueAt: noon.Add(time.Second), AcceptedAt: noon, DeliveredAt: noon.Add(time.Minute), MessageHash: "hash of " + id,
						FailureClass: "R", FailureCode: fmt.Sprint("'", i, j, "\""), Identity: []byte{byte(i), byte(j)},
					}
				}
				batch = append(batch, storage.DeliveryMove{Delivery: next(d.ID), From: from})
				write(t, s, func(ctx context.Context) error {
					updated, err := s.UpdateDelivery(ctx, next(twin.ID), from)
					if updated {
						single = append(single, twin.ID)
					}
					return err
				})
				if stored == from {
					want = append(want, d.ID)
				}
				both = append(both, [2]string{d.ID, twin.ID})
			}
		}
		slices.Sort(want)
		same(t, update(t, batch...), want)
		same(t, len(single), len(deliveryStates))
		for _, pair := range both {
			a, b := must(s.Delivery(ctx, pair[0]))(t), must(s.Delivery(ctx, pair[1]))(t)
			b.ID = a.ID
			if b.MessageHash != "" {
				b.MessageHash = a.MessageHash
			}
			same(t, a, b)
		}
		same(t, update(t), []string{})
	})
	t.Run("one delivery twice is a mistake of the caller", func(t *testing.T) {
		m := storage.DeliveryMove{Delivery: seedDelivery(t, s), From: storage.DeliveryQueued}
		if err := s.InTx(ctx, func(ctx context.Context) error {
			_, err := s.UpdateDeliveries(ctx, []storage.DeliveryMove{m, m})
			return err
		}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("WH-05 of many receipts those that were new are returned, each once", func(t *testing.T) {
		d, e := seedDelivery(t, s), seedDelivery(t, s)
		receipt := func(d storage.Delivery, status storage.DeliveryState) storage.Receipt {
			return storage.Receipt{DeliveryID: d.ID, Status: status, At: noon, ReceivedAt: noon, FailureCode: "x"}
		}
		insert := func(receipts ...storage.Receipt) (fresh []storage.Receipt) {
			write(t, s, func(ctx context.Context) (err error) {
				fresh, err = s.InsertReceipts(ctx, receipts)
				return err
			})
			return fresh
		}
		sent, read, other := receipt(d, storage.DeliverySent), receipt(d, storage.DeliveryRead), receipt(e, storage.DeliverySent)
		same(t, insert(), []storage.Receipt{})
		same(t, insert(sent), []storage.Receipt{sent})
		same(t, insert(read, sent, other, read), []storage.Receipt{read, other})
		same(t, insert(other, read, sent), []storage.Receipt{})
	})
	t.Run("two nodes with the same batch in another order do not wait for each other in a circle", func(t *testing.T) {
		var ids []string
		for range 40 {
			ids = append(ids, seedDelivery(t, s).ID)
		}
		backward := slices.Clone(ids)
		slices.Reverse(backward)
		var wg sync.WaitGroup
		var runs atomic.Int32
		nodes := db.two(t)
		for i := range 16 {
			s, ids := nodes[i%2], [][]string{ids, backward}[i/2%2]
			work, status := receive, storage.DeliverySent
			if i%3 > 0 {
				work, status = receiveUnread, deliveryStates[3+i%3]
			}
			wg.Go(func() {
				write(t, s, func(ctx context.Context) error {
					runs.Add(1)
					return work(ctx, s, ids, status)
				})
			})
		}
		wg.Wait()
		same(t, int(runs.Load()), 16) // a deadlock would have been run again
	})
}

// receive does what a batch of receipts does: what it decides of the deliveries it read must hold when it changes them.
func receive(ctx context.Context, s storage.Store, ids []string, status storage.DeliveryState) error {
	found, err := s.DeliveriesByID(ctx, ids)
	if err != nil {
		return err
	}
	if err := insertReceipts(ctx, s, ids, status); err != nil {
		return err
	}
	moves := make([]storage.DeliveryMove, len(found))
	for i, d := range found {
		moves[i] = storage.DeliveryMove{Delivery: d, From: d.State}
		moves[i].Delivery.State = status
	}
	slices.Reverse(moves)
	updated, err := s.UpdateDeliveries(ctx, moves)
	if err == nil && len(updated) != len(moves) {
		err = fmt.Errorf("%d of %d were updated: what a transaction read was changed under its hands", len(updated), len(moves))
	}
	return err
}

// receiveUnread is receive by somebody who knows the deliveries already.
func receiveUnread(ctx context.Context, s storage.Store, ids []string, status storage.DeliveryState) error {
	if err := insertReceipts(ctx, s, ids, status); err != nil {
		return err
	}
	var moves []storage.DeliveryMove
	for _, id := range ids {
		moves = append(moves, storage.DeliveryMove{Delivery: storage.Delivery{ID: id, State: status}, From: storage.DeliverySent})
	}
	_, err := s.UpdateDeliveries(ctx, moves)
	return err
}

func insertReceipts(ctx context.Context, s storage.Store, ids []string, status storage.DeliveryState) error {
	receipts := make([]storage.Receipt, len(ids))
	for i, id := range ids {
		receipts[i] = storage.Receipt{DeliveryID: id, Status: status, At: noon, ReceivedAt: noon}
	}
	_, err := s.InsertReceipts(ctx, receipts)
	return err
}

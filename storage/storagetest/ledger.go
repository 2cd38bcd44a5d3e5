package storagetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func dayRecord() storage.DeliveryDay {
	return storage.DeliveryDay{
		Day: "2026-03-14", Country: "IT", Channel: storage.WhatsApp, Carrier: "meta", Language: "it", Sent: 10, Delivered: 9,
		Read: 7, Failed: 1, Verified: 8, FellBack: map[string]int{"not_delivered": 1, "refused": 2}, Spent: 6230, Saved: -40,
		ToDelivered: map[int]int{3: 5, 11: 4}, ToVerified: map[int]int{40: 8},
	}
}

func conversionRecord() storage.Conversion {
	return storage.Conversion{
		Prefix: "+39333", Country: "IT", Channel: storage.SMS, Instant: true, Hour: noon.Truncate(time.Hour), Sent: 5, Verified: 2,
		Spent: 3500,
	}
}

func testLedger(t *testing.T, db Database) {
	t.Run("cursors", func(t *testing.T) { testCursors(t, db) })
	t.Run("delivery days", func(t *testing.T) { testDeliveryDays(t, db) })
	t.Run("conversions", func(t *testing.T) { testConversions(t, db) })
	t.Run("what an event names", func(t *testing.T) { testNamed(t, db) })
}

func testCursors(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	move := func(name string, from, position int64) (moved bool) {
		write(t, s, func(ctx context.Context) (err error) {
			moved, err = s.MoveCursor(ctx, name, from, position)
			return err
		})
		return moved
	}
	same(t, must(s.Cursor(ctx, "ledger"))(t), int64(0))
	same(t, []bool{move("ledger", 3, 9), move("ledger", 0, 7), move("ledger", 0, 8), move("ledger", 6, 9), move("ledger", 7, 9)},
		[]bool{false, true, false, false, true})
	same(t, must(s.Cursor(ctx, "ledger"))(t), int64(9))
	same(t, must(s.Cursor(ctx, "export"))(t), int64(0))
	for name, from := range map[string]int64{"a cursor that stands": 9, "a cursor at its start": 0} {
		t.Run("of eight workers exactly one moves "+name, func(t *testing.T) {
			key := "ledger"
			if from == 0 {
				key = "new"
			}
			same(t, race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
				return s.MoveCursor(ctx, key, from, from+1)
			}), 1)
			same(t, must(s.Cursor(ctx, key))(t), from+1)
		})
	}
}

func testDeliveryDays(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	add := func(t *testing.T, days ...storage.DeliveryDay) {
		t.Helper()
		write(t, s, func(ctx context.Context) error { return s.AddDeliveryDays(ctx, days...) })
	}
	first := dayRecord()

	t.Run("counts are added to the stored ones, within a call and over calls", func(t *testing.T) {
		add(t)
		add(t, first)
		same(t, must(s.DeliveryDays(ctx, storage.DayFilter{}))(t), []storage.DeliveryDay{first})
		more := first
		more.FellBack, more.ToDelivered, more.ToVerified = map[string]int{"refused": 1, "unknown": 1}, map[int]int{11: 1}, nil
		few := storage.DeliveryDay{Day: first.Day, Country: "IT", Channel: storage.WhatsApp, Carrier: "meta", Language: "it", Read: 1}
		add(t, more, few)
		want := first
		want.Sent, want.Delivered, want.Read, want.Failed, want.Verified, want.Spent, want.Saved = 20, 18, 15, 2, 16, 12460, -80
		want.FellBack = map[string]int{"not_delivered": 1, "refused": 3, "unknown": 1}
		want.ToDelivered, want.ToVerified = map[int]int{3: 5, 11: 5}, map[int]int{40: 8}
		same(t, must(s.DeliveryDays(ctx, storage.DayFilter{}))(t), []storage.DeliveryDay{want})
	})
	t.Run("rows come in order and are narrowed by each part of the filter", func(t *testing.T) {
		vary := func(change func(*storage.DeliveryDay)) storage.DeliveryDay {
			d := storage.DeliveryDay{Day: "2026-05-02", Country: "BR", Channel: storage.SMS, Carrier: "twilio", Language: "pt", Sent: 1}
			change(&d)
			return d
		}
		rows := []storage.DeliveryDay{
			vary(func(d *storage.DeliveryDay) { d.Day = "2026-05-01" }),
			vary(func(d *storage.DeliveryDay) { d.Carrier = "infobip" }),
			vary(func(d *storage.DeliveryDay) { d.Language = "en" }),
			vary(func(d *storage.DeliveryDay) {}),
			vary(func(d *storage.DeliveryDay) { d.Channel = storage.WhatsApp }),
			vary(func(d *storage.DeliveryDay) { d.Country = "IN" }),
			vary(func(d *storage.DeliveryDay) { d.Day = "2026-05-03" }),
		}
		backward := slices.Clone(rows)
		slices.Reverse(backward)
		add(t, backward...)
		for name, c := range map[string]struct {
			filter storage.DayFilter
			want   []storage.DeliveryDay
		}{
			"since":   {storage.DayFilter{Since: "2026-05-01"}, rows},
			"until":   {storage.DayFilter{Since: "2026-05-02", Until: "2026-05-02"}, rows[1:6]},
			"country": {storage.DayFilter{Country: "IN"}, rows[5:6]},
			"channel": {storage.DayFilter{Since: "2026-05-01", Channel: storage.WhatsApp}, rows[4:5]},
			"carrier": {storage.DayFilter{Carrier: "infobip"}, rows[1:2]},
		} {
			t.Run(name, func(t *testing.T) { same(t, must(s.DeliveryDays(ctx, c.filter))(t), c.want) })
		}
	})
	t.Run("two workers that add at once lose nothing and do not wait for each other in a circle", func(t *testing.T) {
		a, b := dayRecord(), dayRecord()
		a.Day, b.Day = "2026-07-01", "2026-07-02"
		runs := race(t, 20, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return true, s.AddDeliveryDays(ctx, b, a)
		})
		same(t, runs, 20)
		for _, d := range must(s.DeliveryDays(ctx, storage.DayFilter{Since: "2026-07-01"}))(t) {
			same(t, []int{d.Sent, d.FellBack["refused"], d.ToDelivered[3], d.ToVerified[40], int(d.Saved)}, []int{200, 40, 100, 160, -800})
		}
	})
}

func testConversions(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	c := conversionRecord()
	later, plain, es := c, c, c
	later.Hour = c.Hour.Add(3 * time.Hour)
	plain.Instant, plain.Channel = false, storage.WhatsApp
	es.Prefix, es.Country = "+34600", "ES"

	t.Run("counts are added, and summed since an hour", func(t *testing.T) {
		write(t, s, func(ctx context.Context) error {
			if err := s.AddConversions(ctx); err != nil {
				return err
			}
			if err := s.AddConversions(ctx, c, later, c); err != nil {
				return err
			}
			return s.AddConversions(ctx, plain, es, later)
		})
		all := later
		all.Sent, all.Verified, all.Spent = 20, 8, 14000
		same(t, must(s.Conversions(ctx, time.Time{}))(t), []storage.Conversion{es, all, plain})
		same(t, must(s.Conversions(ctx, c.Hour))(t), []storage.Conversion{es, all, plain})
		all.Sent, all.Verified, all.Spent = 10, 4, 7000
		same(t, must(s.Conversions(ctx, c.Hour.Add(time.Millisecond)))(t), []storage.Conversion{all})
	})
	t.Run("two workers that add at once lose nothing", func(t *testing.T) {
		a, b := conversionRecord(), conversionRecord()
		a.Hour, b.Hour = noon.Add(time.Hour*50), noon.Add(time.Hour*50)
		b.Instant = false
		race(t, 20, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return true, s.AddConversions(ctx, b, a)
		})
		for _, c := range must(s.Conversions(ctx, a.Hour))(t) {
			same(t, []int{c.Sent, c.Verified, int(c.Spent)}, []int{100, 40, 70000})
		}
	})
}

// testNamed reads the challenges and deliveries that events name.
func testNamed(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	a, b := seedChallenge(t, s), seedChallenge(t, s)
	seedDelivery(t, s) // of neither
	old, middle, young := deliveryRecord(b.ID), deliveryRecord(a.ID), deliveryRecord(b.ID)
	middle.CreatedAt, young.CreatedAt = noon.Add(time.Second), noon.Add(time.Minute)
	for _, d := range []storage.Delivery{young, old, middle} {
		write(t, s, func(ctx context.Context) error { return s.InsertDelivery(ctx, d) })
	}
	many := []string{a.ID, "gone", b.ID, a.ID}
	for range 2000 {
		many = append(many, storage.NewID())
	}

	t.Run("challenges that are still kept are found, each once", func(t *testing.T) {
		found := must(s.ChallengesByID(ctx, many))(t)
		slices.SortFunc(found, func(x, y storage.Challenge) int { return slices.Index(many, x.ID) - slices.Index(many, y.ID) })
		same(t, found, []storage.Challenge{a, b})
		same(t, must(s.ChallengesByID(ctx, nil))(t), []storage.Challenge{})
	})
	t.Run("their deliveries come oldest first", func(t *testing.T) {
		same(t, must(s.DeliveriesOfAll(ctx, many))(t), []storage.Delivery{old, middle, young})
		same(t, must(s.DeliveriesOfAll(ctx, []string{"gone"}))(t), []storage.Delivery{})
		same(t, must(s.DeliveriesOfAll(ctx, nil))(t), []storage.Delivery{})
	})
}

package ledger

import (
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

// Prices says what one message of a carrier to a country costs.
type Prices interface {
	Price(carrier, country string, at time.Time) storage.Money
}

// counts are what a batch of events adds to the ledger.
type counts struct {
	days        map[dayKey]*storage.DeliveryDay
	conversions map[conversionKey]*storage.Conversion
	// passed are events about challenges that were swept: what they cost and where they went is gone with them, and they
	// are not counted. It takes a worker that stood still for longer than challenges are kept.
	passed int
}

type dayKey struct {
	day, country string
	channel      storage.Channel
	carrier      string
	language     string
}

type conversionKey struct {
	prefix  string
	country string
	channel storage.Channel
	instant bool
	hour    time.Time
}

// known is what storage holds of the challenges that events are about.
type known struct {
	challenges map[string]storage.Challenge
	deliveries map[string][]storage.Delivery // by challenge, oldest first
}

// sums is how events are counted.
type sums struct {
	prices Prices
	// smsCarrier is who would have brought an SMS to a country.
	smsCarrier func(country string) string
	known      known
	seen       map[string]proof
	counts     counts
}

// proof is what events have told of one message. Each fact counts at the first event that proves it, because carriers
// leave steps out and answers get lost: a message that was read was delivered, one that was delivered was accepted.
type proof struct{ sent, delivered, read, failed bool }

// tells is what one event proves of its message.
func tells(e storage.Event) (p proof) {
	switch e.Kind {
	case audit.PasscodeSent:
		p.sent = true
	case audit.PasscodeReceipt:
		status := storage.DeliveryState(e.Data["status"])
		p.read = status == storage.DeliveryRead
		p.delivered = p.read || status == storage.DeliveryDelivered
		p.sent = p.delivered || status == storage.DeliverySent
	case audit.PasscodeSendFailed:
		// The others (will_retry, next_carrier) are not the last word on the message.
		p.failed = e.Reason == "refused" || e.Reason == "reported" || e.Reason == "unknown"
	}
	return p
}

// add returns what p adds to q, and remembers it.
func (q *proof) add(p proof) proof {
	news := proof{p.sent && !q.sent, p.delivered && !q.delivered, p.read && !q.read, p.failed && !q.failed}
	q.sent, q.delivered, q.read, q.failed = q.sent || p.sent, q.delivered || p.delivered, q.read || p.read, q.failed || p.failed
	return news
}

// tally counts a batch of events. before are the earlier ones of the same challenges: what they proved is counted already.
func tally(batch, before []storage.Event, k known, prices Prices, smsCarrier func(string) string) counts {
	s := sums{prices: prices, smsCarrier: smsCarrier, known: k, seen: make(map[string]proof), counts: counts{
		days: make(map[dayKey]*storage.DeliveryDay), conversions: make(map[conversionKey]*storage.Conversion),
	}}
	for _, e := range before {
		p := s.seen[e.DeliveryID]
		p.add(tells(e))
		s.seen[e.DeliveryID] = p
	}
	for _, e := range batch {
		if counted(e) {
			s.event(e)
		}
	}
	return s.counts
}

// counted says whether an event can add anything.
func counted(e storage.Event) bool {
	return tells(e) != (proof{}) || e.Kind == audit.PasscodeFallback || e.Kind == audit.PasscodeSuccess
}

func (s *sums) event(e storage.Event) {
	c, kept := s.known.challenges[e.ChallengeID]
	if !kept {
		s.counts.passed++
		return
	}
	messages := s.known.deliveries[c.ID]
	if e.Kind == audit.PasscodeSuccess {
		s.verified(c, messages, e.At)
		return
	}
	for i, d := range messages {
		if d.ID != e.DeliveryID {
			continue
		}
		if e.Kind == audit.PasscodeFallback {
			s.fellBack(c, messages[:i], d)
			return
		}
		s.message(c, d, e)
	}
}

// message counts what an event tells for the first time of a message.
func (s *sums) message(c storage.Challenge, d storage.Delivery, e storage.Event) {
	p := s.seen[d.ID]
	news := p.add(tells(e))
	s.seen[d.ID] = p
	if news == (proof{}) {
		return
	}
	row := s.row(c, d)
	if news.sent {
		cost := s.cost(c, d)
		row.Sent++
		row.Spent += cost
		if converts := s.conversion(c, d); converts != nil {
			converts.Sent++
			converts.Spent += cost
		}
	}
	if news.delivered {
		row.Delivered++
		if arrived := first(d.DeliveredAt, d.ReadAt); !arrived.IsZero() {
			row.ToDelivered[Bucket(arrived.Sub(accepted(d)))]++
		}
	}
	if news.read {
		row.Read++
	}
	if news.failed {
		row.Failed++
	}
}

// fellBack counts an SMS that followed by itself, on the row of the WhatsApp message before it. Where WhatsApp was not
// tried (no_whatsapp, circuit), it is on the row of a WhatsApp message that would have been sent then.
func (s *sums) fellBack(c storage.Challenge, before []storage.Delivery, sms storage.Delivery) {
	from := storage.Delivery{Channel: storage.WhatsApp, Carrier: whatsAppCarrier, CreatedAt: sms.CreatedAt}
	for _, d := range before {
		if d.Channel == storage.WhatsApp && d.State != storage.DeliverySkipped {
			from = d
		}
	}
	s.row(c, from).FellBack[sms.Trigger]++
}

// whatsAppCarrier is the company behind WhatsApp.
const whatsAppCarrier = "meta"

// verified counts a right passcode on the newest message before it that may have brought it.
func (s *sums) verified(c storage.Challenge, messages []storage.Delivery, at time.Time) {
	var (
		newest  storage.Delivery
		smsUsed bool
	)
	for _, d := range messages {
		if d.SendingAt.IsZero() || d.SendingAt.After(at) || d.State == storage.DeliverySkipped || refused(d) {
			continue
		}
		newest, smsUsed = d, smsUsed || d.Channel == storage.SMS
	}
	if newest.ID == "" {
		return
	}
	row := s.row(c, newest)
	row.Verified++
	row.ToVerified[Bucket(at.Sub(accepted(newest)))]++
	if !smsUsed {
		// What the login would have cost by SMS, less what its message on WhatsApp cost. Nothing else is set off: not the
		// messages before it, nor WhatsApp messages of other logins that an SMS had to follow.
		row.Saved += s.prices.Price(s.smsCarrier(c.PhoneCountry), c.PhoneCountry, accepted(newest)) - s.cost(c, newest)
	}
	if converts := s.conversion(c, newest); converts != nil {
		converts.Verified++
	}
}

// refused says that a message certainly brought nothing: it failed before any carrier had accepted it.
func refused(d storage.Delivery) bool {
	return d.State == storage.DeliveryFailed && d.AcceptedAt.IsZero() && d.SentAt.IsZero()
}

// cost is what was reckoned when the message was announced; one from before that was kept is reckoned now.
func (s *sums) cost(c storage.Challenge, d storage.Delivery) storage.Money {
	if d.Cost > 0 {
		return d.Cost
	}
	return s.prices.Price(d.Carrier, c.PhoneCountry, accepted(d))
}

// accepted is when a carrier accepted a message, or else when it was handed over, or announced.
func accepted(d storage.Delivery) time.Time { return first(d.AcceptedAt, d.SendingAt, d.CreatedAt) }

func (s *sums) row(c storage.Challenge, d storage.Delivery) *storage.DeliveryDay {
	k := dayKey{accepted(d).UTC().Format(time.DateOnly), c.PhoneCountry, d.Channel, d.Carrier, c.Locale}
	row := s.counts.days[k]
	if row == nil {
		row = &storage.DeliveryDay{
			Day: k.day, Country: k.country, Channel: k.channel, Carrier: k.carrier, Language: k.language,
			FellBack: make(map[string]int), ToDelivered: make(map[int]int), ToVerified: make(map[int]int),
		}
		s.counts.days[k] = row
	}
	return row
}

// conversion is nil for a challenge from before prefixes were kept.
func (s *sums) conversion(c storage.Challenge, d storage.Delivery) *storage.Conversion {
	if c.PhonePrefix == "" {
		return nil
	}
	k := conversionKey{c.PhonePrefix, c.PhoneCountry, d.Channel, instant(d), accepted(d).UTC().Truncate(time.Hour)}
	row := s.counts.conversions[k]
	if row == nil {
		row = &storage.Conversion{Prefix: k.prefix, Country: k.country, Channel: k.channel, Instant: k.instant, Hour: k.hour}
		s.counts.conversions[k] = row
	}
	return row
}

// instant says that an SMS went out at once because the number has no WhatsApp.
func instant(d storage.Delivery) bool {
	return d.Channel == storage.SMS && (d.Trigger == "no_whatsapp" || d.Trigger == "undeliverable" || d.Trigger == "asked_undeliverable")
}

// first returns the first time that is set.
func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

package mfa

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/storage"
)

// at is a moment in the life of a challenge that started at testStart.
func at(seconds float64) time.Time {
	return testStart.Add(time.Duration(seconds * float64(time.Second)))
}

func openChallenge() storage.Challenge {
	p := Defaults().freeze(Policy{})
	p.WhatsAppFirst = true
	return storage.Challenge{ID: "challenge", CreatedAt: testStart, ExpiresAt: at(300), MaxTries: 5, Policy: p}
}

func message(state storage.DeliveryState, change ...func(*storage.Delivery)) storage.Delivery {
	d := storage.Delivery{
		Channel: storage.WhatsApp, Trigger: triggerFirst, State: state, CreatedAt: testStart, DueAt: testStart,
	}
	if state != storage.DeliveryQueued {
		d.SendingAt = at(1)
	}
	switch state {
	case storage.DeliveryAccepted, storage.DeliverySent:
		d.AcceptedAt = at(2)
	case storage.DeliveryDelivered:
		d.AcceptedAt, d.DeliveredAt = at(2), at(4)
	case storage.DeliveryRead:
		d.AcceptedAt, d.ReadAt = at(2), at(5)
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func withFailure(class Class, code string) func(*storage.Delivery) {
	return func(d *storage.Delivery) { d.FailureClass, d.FailureCode = string(class), code }
}

func bySMS(d *storage.Delivery) { d.Channel = storage.SMS }

func createdAt(t time.Time) func(*storage.Delivery) {
	return func(d *storage.Delivery) { d.CreatedAt = t }
}

func TestEscalationRows(t *testing.T) {
	type want = decision
	tests := []struct {
		name    string
		message storage.Delivery
		now     float64
		want    want
	}{
		{"refused with class S: SMS at once", message(storage.DeliveryFailed, withFailure(ClassFallback, "131049")), 2, want{step: sendSMS, trigger: triggerRefused}},
		{"class N: SMS at once", message(storage.DeliveryFailed, withFailure(ClassNumber, "131026")), 2, want{step: sendSMS, trigger: triggerUndeliverable}},
		{"class C: SMS at once", message(storage.DeliveryFailed, withFailure(ClassConfig, "190")), 2, want{step: sendSMS, trigger: triggerRefused}},
		{"class R after its retry: SMS at once", message(storage.DeliveryFailed, withFailure(ClassRetry, "131000")), 4, want{step: sendSMS, trigger: triggerRefused}},
		{"class R being retried: wait for the retry", message(storage.DeliveryQueued, withFailure(ClassRetry, "131000")), 2, want{wait, triggerNotDelivered, at(35)}},
		{"class A: no SMS", message(storage.DeliveryFailed, withFailure(ClassAlert, "137000")), 2, want{step: stop}},
		{"circuit opened under it: SMS at once", message(storage.DeliveryFailed, withFailure(ClassFallback, codeCircuit)), 2, want{step: sendSMS, trigger: triggerCircuit}},
		{"unknown before its deadline: wait, from sending", message(storage.DeliveryUnknown), 35, want{wait, triggerUnknown, at(36)}},
		{"unknown at its deadline: SMS", message(storage.DeliveryUnknown), 36, want{step: sendSMS, trigger: triggerUnknown}},
		{"sending counts like unknown", message(storage.DeliverySending), 5, want{wait, triggerUnknown, at(36)}},
		{"accepted: wait for TTL and 5 s, from acceptance", message(storage.DeliveryAccepted), 10, want{wait, triggerNotDelivered, at(37)}},
		{"accepted and not delivered: SMS", message(storage.DeliveryAccepted), 37, want{step: sendSMS, trigger: triggerNotDelivered}},
		{"sent is not delivered", message(storage.DeliverySent), 37, want{step: sendSMS, trigger: triggerNotDelivered}},
		{"sent without a known acceptance counts from sending", message(storage.DeliverySent, func(d *storage.Delivery) { d.AcceptedAt = time.Time{} }), 35, want{wait, triggerNotDelivered, at(36)}},
		{"delivered: wait 60 s for it to be entered", message(storage.DeliveryDelivered), 37, want{wait, triggerNotEntered, at(64)}},
		{"delivered and not entered: SMS", message(storage.DeliveryDelivered), 64, want{step: sendSMS, trigger: triggerNotEntered}},
		{"read without delivered counts from read", message(storage.DeliveryRead), 64, want{wait, triggerNotEntered, at(65)}},
		{"queued and nobody sends it: SMS in the end", message(storage.DeliveryQueued), 35, want{step: sendSMS, trigger: triggerNotDelivered}},
		{"skipped counts as never sent", message(storage.DeliverySkipped), 200, want{step: stop}},
		{"a deadline beyond the end never comes", message(storage.DeliveryDelivered, func(d *storage.Delivery) { d.DeliveredAt = at(240) }), 241, want{step: stop}},
		{"past its end nothing happens", message(storage.DeliveryFailed, withFailure(ClassFallback, "131049")), 300, want{step: stop}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decide(openChallenge(), []storage.Delivery{tt.message}, at(tt.now)); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Each override is tried against a message that would otherwise bring an SMS at once.
func TestEscalationOverrides(t *testing.T) {
	refused := message(storage.DeliveryFailed, withFailure(ClassFallback, "131049"))
	tests := []struct {
		name   string
		change func(*storage.Challenge)
		others []storage.Delivery
		button time.Duration
	}{
		{"fallback: deny", func(c *storage.Challenge) { c.Policy.Fallback = FallbackDeny }, nil, Never},
		{"fallback: ask leaves the button, at once", func(c *storage.Challenge) { c.Policy.Fallback = FallbackAsk }, nil, 0},
		{"an acr or a person that forbids SMS", func(c *storage.Challenge) { c.Policy.SMSForbidden = true }, nil, Never},
		{"identity bar", func(c *storage.Challenge) { c.IdentityBar = true }, nil, Never},
		{"class A on an older message", nil, []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassAlert, "137000"))}, Never},
		{"the fallback was taken already", func(c *storage.Challenge) { c.FallbackAt = at(1) }, nil, 0},
		{"our limits refused it", func(c *storage.Challenge) { c.FallbackAt, c.SMSRefused = at(1), "fraud" }, nil, Never},
		{"an SMS went out already", nil, []storage.Delivery{message(storage.DeliveryAccepted, bySMS)}, Never},
		{"a queued SMS counts", nil, []storage.Delivery{message(storage.DeliveryQueued, bySMS)}, Never},
		{"four messages went out", nil, slices.Repeat([]storage.Delivery{message(storage.DeliveryAccepted)}, 3), Never},
		{"verified", func(c *storage.Challenge) { c.EndedAt, c.End = at(1), storage.ChallengeVerified }, nil, Never},
		{"exhausted", func(c *storage.Challenge) { c.EndedAt, c.End = at(1), storage.ChallengeExhausted }, nil, Never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := openChallenge()
			if tt.change != nil {
				tt.change(&c)
			}
			ds := append(slices.Clone(tt.others), refused)
			if got := decide(c, ds, at(2)); got.step != stop {
				t.Errorf("got %+v, want stop", got)
			}
			if got := offerSMSIn(c, ds, at(2)); got != tt.button {
				t.Errorf("the button is offered in %v, want %v", got, tt.button)
			}
		})
	}
}

func TestOTP41_NotEnteredFollowsThePolicy(t *testing.T) {
	delivered := []storage.Delivery{message(storage.DeliveryDelivered)}
	for policy, want := range map[string]struct {
		step   step
		button time.Duration
	}{
		NotEnteredSend: {sendSMS, 0},
		NotEnteredAsk:  {stop, 0},
		NotEnteredOff:  {stop, Never},
	} {
		t.Run(policy, func(t *testing.T) {
			c := openChallenge()
			c.Policy.NotEntered = policy
			if got := decide(c, delivered, at(100)); got.step != want.step {
				t.Errorf("got %+v", got)
			}
			if got := offerSMSIn(c, delivered, at(100)); got != want.button {
				t.Errorf("button in %v, want %v", got, want.button)
			}
		})
	}
}

func TestWH07_OnlyTheCurrentMessageStartsAFallback(t *testing.T) {
	c := openChallenge()
	again := message(storage.DeliveryAccepted, createdAt(at(31)), func(d *storage.Delivery) {
		d.Trigger, d.AcceptedAt = triggerAgain, at(32)
	})
	for name, older := range map[string]storage.Delivery{
		"an older one failed":          message(storage.DeliveryFailed, withFailure(ClassFallback, "131049")),
		"an older one was not entered": message(storage.DeliveryDelivered),
		"an older one got lost":        message(storage.DeliveryUnknown),
	} {
		t.Run(name, func(t *testing.T) {
			want := decision{wait, triggerNotDelivered, at(67)}
			if got := decide(c, []storage.Delivery{older, again}, at(66)); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestTheButtonIsOfferedAfterItsWait(t *testing.T) {
	c, ds := openChallenge(), []storage.Delivery{message(storage.DeliveryAccepted)}
	for now, want := range map[float64]time.Duration{0: 20 * time.Second, 19: time.Second, 20: 0, 30: 0} {
		if got := offerSMSIn(c, ds, at(now)); got != want {
			t.Errorf("at %v s it is offered in %v, want %v", now, got, want)
		}
	}
}

func TestSendAgain_WaitsLongerEachTime(t *testing.T) {
	again := func(created float64) storage.Delivery {
		return message(storage.DeliveryAccepted, createdAt(at(created)), func(d *storage.Delivery) { d.Trigger = triggerAgain })
	}
	first := message(storage.DeliveryAccepted)
	tests := []struct {
		name    string
		ds      []storage.Delivery
		now     float64
		want    time.Duration
		channel storage.Channel
	}{
		{"30 s after the first", []storage.Delivery{first}, 10, 20 * time.Second, storage.WhatsApp},
		{"60 s after the second", []storage.Delivery{first, again(30)}, 40, 50 * time.Second, storage.WhatsApp},
		{"120 s after the third", []storage.Delivery{first, again(30), again(90)}, 100, 110 * time.Second, storage.WhatsApp},
		{"never a fifth message", []storage.Delivery{first, again(30), again(90), again(210)}, 299, Never, storage.WhatsApp},
		{"an automatic SMS does not lengthen it", []storage.Delivery{first, message(storage.DeliverySent, bySMS, createdAt(at(37)))}, 40, 27 * time.Second, storage.SMS},
		{"at once after an SMS whose answer was lost", []storage.Delivery{first, message(storage.DeliveryUnknown, bySMS, createdAt(at(37)))}, 40, 0, storage.SMS},
		{"at once after an SMS that failed", []storage.Delivery{first, message(storage.DeliveryFailed, bySMS, createdAt(at(37)))}, 40, 0, storage.SMS},
		{"a skipped message does not count", []storage.Delivery{message(storage.DeliverySkipped), first}, 30, 0, storage.WhatsApp},
		{"never once the phone is not trusted", []storage.Delivery{message(storage.DeliveryFailed, withFailure(ClassAlert, "137000"))}, 60, Never, storage.WhatsApp},
		{"never past the end", []storage.Delivery{first}, 300, Never, storage.WhatsApp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ch := resendIn(openChallenge(), tt.ds, 30*time.Second, at(tt.now)), resendOn(tt.ds, circuitsOpen())
			if got != tt.want || ch != tt.channel {
				t.Errorf("got %v on %q, want %v on %q", got, ch, tt.want, tt.channel)
			}
		})
	}
}

// circuitsOpen answers for circuits of which these are open.
func circuitsOpen(open ...storage.Channel) func(storage.Channel) bool {
	return func(ch storage.Channel) bool { return slices.Contains(open, ch) }
}

func TestSendAgain_GoesToTheCarrierThatMayWork(t *testing.T) {
	down := withFailure(ClassRetry, "131000")
	whatsApp := func(change ...func(*storage.Delivery)) storage.Delivery {
		return message(storage.DeliveryFailed, change...)
	}
	sms := func(state storage.DeliveryState) storage.Delivery {
		return message(state, bySMS, createdAt(at(5)), down)
	}
	tests := []struct {
		name string
		ds   []storage.Delivery
		open []storage.Channel
		want storage.Channel
	}{
		{"the one used last", []storage.Delivery{whatsApp(down), sms(storage.DeliveryFailed)}, nil, storage.SMS},
		{"WhatsApp, when the circuit of SMS is open", []storage.Delivery{whatsApp(down), sms(storage.DeliveryFailed)}, []storage.Channel{storage.SMS}, storage.WhatsApp},
		{"WhatsApp after a lost SMS too", []storage.Delivery{whatsApp(down), sms(storage.DeliveryUnknown)}, []storage.Channel{storage.SMS}, storage.WhatsApp},
		{"the one used last, when both circuits are open", []storage.Delivery{whatsApp(down), sms(storage.DeliveryFailed)}, []storage.Channel{storage.SMS, storage.WhatsApp}, storage.SMS},
		{"not WhatsApp for a number that has none", []storage.Delivery{whatsApp(withFailure(ClassNumber, "131026")), sms(storage.DeliveryFailed)}, []storage.Channel{storage.SMS}, storage.SMS},
		{"not a channel that was not tried", []storage.Delivery{whatsApp(down)}, []storage.Channel{storage.WhatsApp}, storage.WhatsApp},
		{"back to SMS, when WhatsApp failed again", []storage.Delivery{whatsApp(down), sms(storage.DeliveryFailed), whatsApp(down, createdAt(at(40)))}, []storage.Channel{storage.WhatsApp}, storage.SMS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := resendOn(tt.ds, circuitsOpen(tt.open...)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRetryOfClassR(t *testing.T) {
	pairRate := &Refused{Failure: Failure{Class: ClassRetry, Code: "131056"}, RetryAfter: 6 * time.Second, NotSent: true}
	busy := &Refused{Failure: Failure{Class: ClassRetry, Code: "131016"}, NotSent: true}
	call := func(change ...func(*storage.Delivery)) storage.Delivery {
		return message(storage.DeliverySending, change...)
	}
	tests := []struct {
		name    string
		d       storage.Delivery
		retried bool
		refused *Refused
		now     float64
		want    float64 // seconds; 0 is no retry
	}{
		{"once, after 1 to 2 s", call(), false, busy, 2, 3.5},
		{"not before 6 s for the pair rate", call(), false, pairRate, 2, 8.5},
		{"not twice", call(), true, busy, 2, 0},
		{"not when it may have gone out", call(), false, &Refused{Failure: busy.Failure}, 2, 0},
		{"not for another class", call(), false, &Refused{Failure: Failure{Class: ClassFallback}, NotSent: true}, 2, 0},
		{"not beyond the deadline", call(), false, pairRate, 30, 0},
		{"not beyond the end", call(func(d *storage.Delivery) { d.SendingAt = at(295) }), false, pairRate, 296, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, again := retryAt(tt.d, tt.retried, openChallenge(), tt.refused, at(tt.now), 500*time.Millisecond)
			if again != (tt.want != 0) || again && !got.Equal(at(tt.want)) {
				t.Errorf("got %v %v, want %v s", got.Sub(testStart), again, tt.want)
			}
		})
	}
}

// Whatever carriers, clocks and people do, in whatever order: never two automatic SMS, never one that is forbidden,
// never more than four messages, and never a challenge that is stuck.
func TestEscalationProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := openChallenge()
		c.Policy.Fallback = rapid.SampledFrom([]string{FallbackAllow, FallbackAsk, FallbackDeny}).Draw(t, "fallback")
		c.Policy.SMSForbidden = rapid.Bool().Draw(t, "forbidden")
		c.Policy.NotEntered = rapid.SampledFrom([]string{NotEnteredSend, NotEnteredAsk, NotEnteredOff}).Draw(t, "not entered")
		now := testStart
		ds := []storage.Delivery{message(storage.DeliveryQueued)}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			disturb(t, c, ds, now)
			if resendIn(c, ds, 30*time.Second, now) == 0 && rapid.Bool().Draw(t, "again") {
				open := circuitsOpen(rapid.SampledFrom([]storage.Channel{storage.WhatsApp, storage.SMS}).Draw(t, "circuit"))
				ch := resendOn(ds, open)
				if _, before := latest(sentOut(ds), ch); !before {
					t.Fatalf("sends again on %s, which was not used", ch)
				}
				ds = append(ds, message(storage.DeliveryQueued, createdAt(now), func(d *storage.Delivery) {
					d.Channel, d.Trigger, d.DueAt = ch, triggerAgain, now
				}))
			}
			if offerSMSIn(c, ds, now) == 0 && rapid.IntRange(0, 9).Draw(t, "ask") == 0 {
				if c.Policy.SMSForbidden || c.Policy.Fallback == FallbackDeny {
					t.Fatal("a forbidden SMS is offered")
				}
				ds = append(ds, message(storage.DeliveryQueued, bySMS, createdAt(now), func(d *storage.Delivery) { d.Trigger = triggerAsked }))
			}
			d := decide(c, ds, now)
			check(t, c, ds, d, now, i)
			if d.step == sendSMS {
				c.FallbackAt = now
				ds = append(ds, message(storage.DeliveryQueued, bySMS, createdAt(now), func(m *storage.Delivery) { m.Trigger, m.Automatic = d.trigger, true }))
			}
		}
		automatic := 0
		for _, d := range ds {
			if d.Channel == storage.SMS && d.Automatic {
				automatic++
			}
		}
		if sent := len(sentOut(ds)); automatic > 1 || sent > c.Policy.MaxMessages {
			t.Fatalf("%d automatic SMS, %d messages", automatic, sent)
		}
	})
}

// disturb lets one message take any step that a carrier or a crash can make it take.
func disturb(t *rapid.T, c storage.Challenge, ds []storage.Delivery, now time.Time) {
	d := &ds[rapid.IntRange(0, len(ds)-1).Draw(t, "message")]
	if d.State == storage.DeliveryQueued {
		d.State = rapid.SampledFrom([]storage.DeliveryState{storage.DeliveryQueued, storage.DeliverySending, storage.DeliverySkipped}).Draw(t, "claim")
		d.SendingAt = now
		return
	}
	status := rapid.SampledFrom([]storage.DeliveryState{
		storage.DeliveryUnknown, storage.DeliveryAccepted, storage.DeliverySent, storage.DeliveryDelivered, storage.DeliveryRead, storage.DeliveryFailed,
	}).Draw(t, "status")
	class := rapid.SampledFrom([]Class{ClassRetry, ClassFallback, ClassConfig, ClassNumber, ClassAlert}).Draw(t, "class")
	stamp := now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "clock")) * time.Second)
	if next, moved := advance(*d, Report{Status: status, At: stamp, Failure: Failure{Class: class, Code: "1"}}, now); moved {
		*d = next
	}
}

func check(t *rapid.T, c storage.Challenge, ds []storage.Delivery, d decision, now time.Time, i int) {
	switch {
	case d.step == sendSMS && (c.Policy.SMSForbidden || c.Policy.Fallback != FallbackAllow || !c.FallbackAt.IsZero()):
		t.Fatalf("step %d: a forbidden SMS was decided", i)
	case d.step == wait && (!d.until.After(now) || !d.until.Before(c.ExpiresAt)):
		t.Fatalf("step %d: waits for %v at %v", i, d.until, now)
	case d.step == stop && isOpen(c, now) && c.Policy.Fallback == FallbackAllow && !c.Policy.SMSForbidden && c.FallbackAt.IsZero():
		// Nothing is left to try by itself: an SMS is out, or the phone is not trusted, or nothing ever went out, or it
		// arrived and policy asks for no more, or the deadline lies beyond the end.
		messages := sentOut(ds)
		current, tried := latest(messages, storage.WhatsApp)
		_, sms := latest(messages, storage.SMS)
		_, deadline, ever := verdict(current, c.Policy)
		if tried && !sms && !barred(c, messages) && len(messages) < c.Policy.MaxMessages && ever && deadline.Before(c.ExpiresAt) {
			t.Fatalf("step %d: stuck with %+v", i, current)
		}
	}
	if look := nextLook(c, ds, now); look.After(c.ExpiresAt) || d.step == wait && !look.Equal(d.until) {
		t.Fatalf("step %d: looks again at %v", i, look)
	}
	progress := progressOf(c, ds, 30*time.Second, now)
	if progress.Stage == StageNotArriving && progress.WhatsAppDelivered {
		t.Fatalf("step %d: says that nothing arrives, though it did", i)
	}
	if progress.CarriersDown && (progress.WhatsAppDelivered || progress.OfferSMSIn != Never || d.step != stop) {
		t.Fatalf("step %d: blames the carriers with %+v", i, progress)
	}
}

// The states of one message end the same whatever the order and number of its receipts (WH-06).
func TestWH06_OrderAndNumberOfReceiptsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statuses := rapid.SliceOfN(rapid.SampledFrom([]storage.DeliveryState{
			storage.DeliverySent, storage.DeliveryDelivered, storage.DeliveryRead, storage.DeliveryFailed,
		}), 1, 6).Draw(t, "statuses")
		end := func(order []storage.DeliveryState) storage.DeliveryState {
			d := message(storage.DeliveryAccepted)
			for _, s := range order {
				before := rank[d.State]
				d, _ = advance(d, Report{Status: s, At: at(3)}, at(4))
				if rank[d.State] < before {
					t.Fatalf("went back to %s", d.State)
				}
			}
			return d.State
		}
		shuffled := rapid.Permutation(statuses).Draw(t, "order")
		twice := append(slices.Clone(shuffled), shuffled...)
		if a, b, c := end(statuses), end(shuffled), end(twice); a != b || b != c {
			t.Fatalf("ends: %s, %s, %s", a, b, c)
		}
	})
}

func TestAdvance(t *testing.T) {
	tests := []struct {
		from, status, want storage.DeliveryState
	}{
		{storage.DeliverySending, storage.DeliveryDelivered, storage.DeliveryDelivered},
		{storage.DeliveryUnknown, storage.DeliverySent, storage.DeliverySent},
		{storage.DeliveryAccepted, storage.DeliveryRead, storage.DeliveryRead},
		{storage.DeliveryDelivered, storage.DeliverySent, storage.DeliveryDelivered},
		{storage.DeliveryDelivered, storage.DeliveryFailed, storage.DeliveryDelivered},
		{storage.DeliveryFailed, storage.DeliverySent, storage.DeliveryFailed},
		{storage.DeliveryFailed, storage.DeliveryDelivered, storage.DeliveryDelivered},
		{storage.DeliveryQueued, storage.DeliveryDelivered, storage.DeliveryQueued},
		{storage.DeliverySkipped, storage.DeliveryDelivered, storage.DeliverySkipped},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s then %s", tt.from, tt.status), func(t *testing.T) {
			got, moved := advance(message(tt.from), Report{Status: tt.status, At: at(9)}, at(10))
			if got.State != tt.want || moved != (tt.from != tt.want) {
				t.Errorf("got %s, moved %v; want %s", got.State, moved, tt.want)
			}
		})
	}
	t.Run("a carrier's clock cannot move our deadlines", func(t *testing.T) {
		early, _ := advance(message(storage.DeliveryAccepted), Report{Status: storage.DeliveryDelivered, At: at(-3600)}, at(10))
		late, _ := advance(message(storage.DeliveryAccepted), Report{Status: storage.DeliveryDelivered, At: at(3600)}, at(10))
		if !early.DeliveredAt.Equal(at(2)) || !late.DeliveredAt.Equal(at(10)) {
			t.Errorf("delivered at %v and %v", early.DeliveredAt, late.DeliveredAt)
		}
	})
}

package mfa

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

// put stores a challenge with one delivery as the dispatcher would have left it.
func (w *world) put(state storage.DeliveryState, messageID string) storage.Delivery {
	w.Helper()
	now := w.clock.Now()
	c := storage.Challenge{
		ID: storage.NewID(), PersonID: w.person, PhoneID: w.phone.ID, AuthRequestID: storage.NewID(),
		Purpose: storage.PurposeLogin, Nonce: []byte("0123456789abcdef"), BrowserHash: testBrowser, KeyID: testKeys.ID(),
		PhoneHash: w.phone.Hash, PhoneCountry: "IT", PhoneLastTwo: "67", ClientID: "client", Locale: "it",
		Policy: w.settings.freeze(Policy{}), CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute), MaxTries: 5,
		DueAt: now.Add(35 * time.Second),
	}
	d := storage.Delivery{
		ID: storage.NewID(), ChallengeID: c.ID, Channel: storage.WhatsApp, Carrier: "meta", Trigger: triggerFirst, State: state,
		Calls: 1, CreatedAt: now, DueAt: now, SendingAt: now,
	}
	if messageID != "" {
		d.AcceptedAt, d.MessageHash = now, testKeys.Hash(secret.MessageHash, messageID)
	}
	w.tx(func(ctx context.Context) error {
		if err := w.db.InsertChallenge(ctx, c); err != nil {
			return err
		}
		return w.db.InsertDelivery(ctx, d)
	})
	return d
}

func (w *world) receiveAll(chunks ...[]Report) {
	w.Helper()
	for _, chunk := range chunks {
		if err := w.Receive(w.ctx(), chunk); err != nil {
			w.Fatal(err)
		}
	}
}

// saying is what a carrier tells of the n-th of several deliveries.
type saying struct {
	n        int
	byMark   bool
	status   storage.DeliveryState
	class    Class
	tap      bool
	stranger bool
}

func (s saying) report(d storage.Delivery, messageID string) Report {
	r := Report{Channel: d.Channel, Carrier: d.Carrier, Status: s.status, MessageID: messageID}
	if s.byMark || messageID == "" {
		r.DeliveryID = d.ID
	}
	if s.status == storage.DeliveryFailed {
		r.Failure = Failure{Class: s.class, Code: "1"}
	}
	if s.tap {
		r.NotRequested, r.Status = true, ""
	}
	if s.stranger {
		r.Carrier = "twilio"
	}
	return r
}

var (
	drawStates = rapid.SampledFrom([]storage.DeliveryState{
		storage.DeliveryQueued, storage.DeliverySending, storage.DeliveryUnknown, storage.DeliveryAccepted, storage.DeliverySent,
		storage.DeliveryFailed, storage.DeliveryDelivered, storage.DeliveryRead, storage.DeliverySkipped,
	})
	drawStatus = rapid.SampledFrom([]storage.DeliveryState{
		storage.DeliverySent, storage.DeliveryDelivered, storage.DeliveryRead, storage.DeliveryFailed,
	})
	drawClass = rapid.SampledFrom([]Class{ClassFallback, ClassRetry, ClassConfig, ClassNumber, ClassAlert})
)

func drawSaying(n int) *rapid.Generator[saying] {
	return rapid.Custom(func(t *rapid.T) saying {
		return saying{
			n: rapid.IntRange(0, n-1).Draw(t, "delivery"), byMark: rapid.Bool().Draw(t, "by mark"), status: drawStatus.Draw(t, "status"),
			class: drawClass.Draw(t, "class"), tap: rapid.IntRange(0, 9).Draw(t, "tap") == 0,
			stranger: rapid.IntRange(0, 9).Draw(t, "stranger") == 0,
		}
	})
}

// twins puts the same deliveries twice, so that one set can be told otherwise than the other.
func (w *world) twins(t *rapid.T) (one, other []storage.Delivery, message func(set []storage.Delivery, i int) string) {
	states := rapid.SliceOfN(drawStates, 1, 4).Draw(t, "states")
	answered := rapid.SliceOfN(rapid.Bool(), len(states), len(states)).Draw(t, "answered")
	id := func(set []storage.Delivery, i int) string {
		if !answered[i] {
			return ""
		}
		return "wamid." + set[i].ID
	}
	put := func() (set []storage.Delivery) {
		for i, state := range states {
			d := w.put(state, "")
			set = append(set, d)
			if hash := id(set, i); hash != "" {
				d.AcceptedAt, d.MessageHash = d.SendingAt, testKeys.Hash(secret.MessageHash, hash)
				w.tx(func(ctx context.Context) error {
					_, err := w.db.UpdateDelivery(ctx, d, d.State)
					return err
				})
			}
		}
		return set
	}
	return put(), put(), id
}

func chunked(t *rapid.T, reports []Report) (chunks [][]Report) {
	for len(reports) > 0 {
		n := rapid.IntRange(1, len(reports)).Draw(t, "chunk")
		chunks, reports = append(chunks, reports[:n]), reports[n:]
	}
	return chunks
}

func singly(reports []Report) (chunks [][]Report) {
	for i := range reports {
		chunks = append(chunks, reports[i:i+1])
	}
	return chunks
}

func (w *world) stateOf(d storage.Delivery) string {
	w.Helper()
	got, err := w.db.Delivery(w.ctx(), d.ID)
	if err != nil {
		w.Fatal(err)
	}
	c := w.reload(storage.Challenge{ID: d.ChallengeID})
	return fmt.Sprintf("%s, challenge %q", got.State, c.End)
}

func TestWH06_AnyOrderRepetitionAndCuttingOfReceiptsEndsInTheSameStates(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector, and does one thing after the other")
	}
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		one, other, message := w.twins(t)
		says := rapid.SliceOfN(drawSaying(len(one)), 1, 12).Draw(t, "reports")
		var straight, mixed []Report
		for _, s := range says {
			straight = append(straight, s.report(one[s.n], message(one, s.n)))
			mixed = append(mixed, s.report(other[s.n], message(other, s.n)))
		}
		mixed = append(mixed, mixed[:rapid.IntRange(0, len(mixed)).Draw(t, "repeated")]...)
		mixed = rapid.Permutation(mixed).Draw(t, "order")
		w.receiveAll(singly(straight)...)
		w.receiveAll(chunked(t, mixed)...)
		for i := range one {
			if got, want := w.stateOf(other[i]), w.stateOf(one[i]); got != want {
				t.Errorf("delivery %d: mixed %s, one by one %s", i, got, want)
			}
		}
	})
}

// everything about a delivery and its challenge that receipts may change, without what differs between twins.
func (w *world) everything(d storage.Delivery) string {
	w.Helper()
	c, ds, err := w.db.ChallengeWithDeliveries(w.ctx(), d.ChallengeID)
	if err != nil {
		w.Fatal(err)
	}
	text := fmt.Sprintf("end %s bar %v fallback %v due %v;", c.End, c.IdentityBar, !c.FallbackAt.IsZero(), c.DueAt.Sub(c.CreatedAt))
	for _, d := range ds {
		text += fmt.Sprintf(" %s %s %s %s%s hash %v", d.Channel, d.Trigger, d.State, d.FailureClass, d.FailureCode, d.MessageHash != "")
		for _, at := range []time.Time{d.SentAt, d.DeliveredAt, d.ReadAt, d.FailedAt} {
			text += fmt.Sprint(" ", !at.IsZero())
		}
	}
	events, err := w.db.ListEvents(w.ctx(), storage.EventFilter{ChallengeID: c.ID, Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	var kinds []string
	for _, e := range events {
		if e.Kind != audit.SystemCarrierAlarm { // sampled over all challenges
			kinds = append(kinds, e.Kind+" "+e.Data["status"])
		}
	}
	slices.Sort(kinds)
	return text + fmt.Sprint(kinds)
}

// unlimited lets one number have as many messages as a test makes.
func unlimited(c *Config) {
	const plenty = 1 << 20
	l := throttle.Defaults()
	l.SendsPerNumberHour, l.SendsPerNumberDay, l.SendsPerSourceHour, l.SendsPerPrefixHour = plenty, plenty, plenty, plenty
	l.SendsPerClientHour, l.SendsPerHour = plenty, plenty
	l.SpendPerPrefixDay, l.SpendPerCountryDay = plenty*storage.MoneyUnit, plenty*storage.MoneyUnit
	l.SpendPerSourceDay, l.SpendPerDay = plenty*storage.MoneyUnit, plenty*storage.MoneyUnit
	c.Throttle = throttle.New(l, testKeys)
}

// consistent leaves out that a message arrived after it failed: where one batch says both, the failure starts nothing.
func consistent(says []saying) []saying {
	failed := map[int]bool{}
	return slices.DeleteFunc(says, func(s saying) bool {
		if s.status == storage.DeliveryFailed && !s.tap && !s.stranger {
			failed[s.n] = true
			return false
		}
		return failed[s.n]
	})
}

func TestReceive_CuttingABatchOtherwiseChangesNothingAtAll(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector, and does one thing after the other")
	}
	w := newWorld(t, unlimited)
	rapid.Check(t, func(t *rapid.T) {
		one, other, message := w.twins(t)
		says := consistent(rapid.SliceOfN(drawSaying(len(one)), 1, 12).Draw(t, "reports"))
		var straight, cut []Report
		for _, s := range says {
			straight = append(straight, s.report(one[s.n], message(one, s.n)))
			cut = append(cut, s.report(other[s.n], message(other, s.n)))
		}
		w.receiveAll(singly(straight)...)
		w.receiveAll(chunked(t, cut)...)
		for i := range one {
			if got, want := w.everything(other[i]), w.everything(one[i]); got != want {
				t.Errorf("delivery %d:\n cut        %s\n one by one %s", i, got, want)
			}
		}
	})
}

func TestWH08_AChunkIsBoundedInReportsAndInFailures(t *testing.T) {
	sent, failure := Report{Status: storage.DeliverySent}, Report{Status: storage.DeliveryFailed}
	for name, tt := range map[string]struct {
		reports []Report
		want    []int
	}{
		"nothing":                        {nil, nil},
		"one":                            {slices.Repeat([]Report{sent}, 1), []int{1}},
		"as many as fit":                 {slices.Repeat([]Report{sent}, reportsAtOnce), []int{reportsAtOnce}},
		"one more than fit":              {slices.Repeat([]Report{sent}, reportsAtOnce+1), []int{reportsAtOnce, 1}},
		"failures":                       {slices.Repeat([]Report{failure}, 2*failuresAtOnce+1), []int{failuresAtOnce, failuresAtOnce, 1}},
		"taps count as failures":         {slices.Repeat([]Report{{NotRequested: true}}, failuresAtOnce+1), []int{failuresAtOnce, 1}},
		"failures after others":          {slices.Concat(slices.Repeat([]Report{sent}, 50), slices.Repeat([]Report{failure}, 9), slices.Repeat([]Report{sent}, 99)), []int{58, 100}},
		"a whole callback of deliveries": {slices.Repeat([]Report{sent}, MaxReports), slices.Repeat([]int{reportsAtOnce}, MaxReports/reportsAtOnce)},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, chunk := range inChunks(tt.reports) {
				got = append(got, len(chunk))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReceive_ACarriersTimeCountsOnlyBetweenOurSendingAndNow(t *testing.T) {
	for name, tt := range map[string]struct{ said, want time.Time }{
		"between":            {testStart.Add(4 * time.Second), testStart.Add(4 * time.Second)},
		"before our sending": {testStart.Add(-time.Hour), testStart},
		"in the future":      {testStart.Add(time.Hour), testStart.Add(10 * time.Second)},
		"none":               {time.Time{}, testStart.Add(10 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.put(storage.DeliveryAccepted, "")
			w.clock.Advance(10 * time.Second)
			w.receiveAll([]Report{{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: storage.DeliveryDelivered, At: tt.said}})
			got, err := w.db.Delivery(w.ctx(), d.ID)
			if err != nil || !got.DeliveredAt.Equal(tt.want) {
				t.Errorf("delivered at %v (%v), want %v", got.DeliveredAt, err, tt.want)
			}
		})
	}
}

func TestReceive_TellsACountrysCircuitWhatBecomesOfMessages(t *testing.T) {
	const failures = 3
	failed := func(class Class, scope Scope) Report {
		return Report{Status: storage.DeliveryFailed, Failure: Failure{Class: class, Code: "1", Scope: scope}}
	}
	arrived := Report{Status: storage.DeliveryDelivered}
	fallback := failed(ClassFallback, ScopeMessage)
	for name, tt := range map[string]struct {
		reports []Report
		open    bool
	}{
		"failures in a row":              {[]Report{fallback, failed(ClassRetry, ""), failed(ClassConfig, ScopeMessage)}, true},
		"one that arrived in between":    {[]Report{fallback, fallback, arrived, fallback}, false},
		"the country itself":             {[]Report{failed(ClassFallback, ScopeCountry)}, true},
		"numbers without WhatsApp":       {slices.Repeat([]Report{failed(ClassNumber, ScopeMessage)}, 5), false},
		"changed accounts":               {slices.Repeat([]Report{failed(ClassAlert, ScopeMessage)}, 5), false},
		"our account is not the country": {slices.Repeat([]Report{failed(ClassConfig, ScopeCarrier)}, 5), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Settings.CountryFailures = failures }, unlimited)
			for i, r := range tt.reports {
				w.phone.Hash = fmt.Sprint("number ", i)
				d := w.put(storage.DeliveryAccepted, "")
				r.Channel, r.Carrier, r.DeliveryID = d.Channel, d.Carrier, d.ID
				w.receiveAll([]Report{r}, []Report{r}) // a repetition counts nothing
			}
			got := slices.ContainsFunc(w.Circuits(), func(c storage.Circuit) bool { return c.Name == "country/whatsapp/IT" })
			if got != tt.open {
				t.Errorf("open %v, want %v", got, tt.open)
			}
		})
	}
}

// counting counts the calls that a batch makes.
type counting struct {
	Store
	calls *int
}

func (c counting) DeliveriesByID(ctx context.Context, ids []string) ([]storage.Delivery, error) {
	*c.calls++
	return c.Store.DeliveriesByID(ctx, ids)
}

func (c counting) InsertReceipts(ctx context.Context, receipts []storage.Receipt) ([]storage.Receipt, error) {
	*c.calls++
	return c.Store.InsertReceipts(ctx, receipts)
}

func (c counting) UpdateDeliveries(ctx context.Context, moves []storage.DeliveryMove) ([]string, error) {
	*c.calls++
	return c.Store.UpdateDeliveries(ctx, moves)
}

func (c counting) InTx(ctx context.Context, fn func(context.Context) error) error {
	*c.calls++
	return c.Store.InTx(ctx, fn)
}

func TestWH08_AChunkCostsAFixedNumberOfStatements(t *testing.T) {
	w := newWorld(t)
	cost := func(n int) (calls int) {
		var reports []Report
		for range n {
			d := w.put(storage.DeliveryAccepted, "")
			reports = append(reports, Report{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: storage.DeliveryDelivered})
		}
		w.store = counting{w.db.(Store), &calls}
		w.receiveAll(reports)
		return calls
	}
	if one, many := cost(1), cost(reportsAtOnce); one != many || one != 4 {
		t.Errorf("one report costs %d calls of storage, a full chunk %d, want 4", one, many)
	}
}

// The answer to a call and the receipts of its message come together, in whatever order.
func TestReceive_AnAnswerAndAReceiptAtOnceBothCount(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db storage.Store) {
		w := newWorldOn(t, db)
		for i := range 10 {
			d := w.put(storage.DeliverySending, "")
			messageID := fmt.Sprint("wamid.", i)
			w.together(3, func(i int) error {
				switch i {
				case 0:
					return w.db.InTx(w.ctx(), func(ctx context.Context) error {
						return w.accepted(ctx, job{delivery: d, challenge: w.reload(storage.Challenge{ID: d.ChallengeID})}, Sent{MessageID: messageID})
					})
				case 1:
					return w.Receive(w.ctx(), []Report{{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, MessageID: messageID, Status: storage.DeliverySent}})
				default:
					return w.Receive(w.ctx(), []Report{{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: storage.DeliveryDelivered}})
				}
			})
			got, err := w.db.Delivery(w.ctx(), d.ID)
			if err != nil || got.State != storage.DeliveryDelivered || got.AcceptedAt.IsZero() || got.DeliveredAt.IsZero() || got.MessageHash == "" {
				t.Errorf("delivery %+v, %v", got, err)
			}
		}
	})
}

func TestReceive_AReceiptIsNotRecordedWithoutItsMove(t *testing.T) {
	w := newWorld(t)
	d := w.put(storage.DeliveryAccepted, "")
	w.store = never{w.db.(Store)}
	err := w.Receive(w.ctx(), []Report{{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: storage.DeliveryRead}})
	if err == nil {
		t.Error("the carrier was not asked to send it again")
	}
	w.store = w.db.(Store)
	w.report(d, storage.DeliveryRead) // nothing was recorded that would make this a repetition
	if got := w.stateOf(d); got != `read, challenge ""` {
		t.Error(got)
	}
}

// never updates nothing.
type never struct{ Store }

func (never) UpdateDeliveries(context.Context, []storage.DeliveryMove) ([]string, error) {
	return nil, nil
}

// BenchmarkReceive applies callbacks of 1,000 entries, as large as they come, to as many deliveries.
func BenchmarkReceive(b *testing.B) { eachInEarnest(b, benchmarkReceive) }

func benchmarkReceive(b *testing.B, db storage.Store) {
	w := newWorldOn(b, db)
	entries := 0
	for b.Loop() {
		b.StopTimer()
		var reports []Report
		for range MaxReports {
			d := w.put(storage.DeliveryAccepted, "")
			reports = append(reports, Report{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: storage.DeliveryDelivered})
		}
		b.StartTimer()
		w.receiveAll(reports)
		entries += len(reports)
	}
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
}

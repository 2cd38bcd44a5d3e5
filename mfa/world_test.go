package mfa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/reqinfo"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/storagetest"
)

const (
	testNumber  = "+393331234567"
	testRequest = "authrequest"
)

var (
	testStart   = time.Date(2026, 9, 14, 12, 0, 0, 0, time.UTC)
	testBrowser = []byte("browser hash of the request")
	testRoot    = bytes.Repeat([]byte{7}, secret.RootSize)
	testKeys    = mustKeys(testRoot)
)

func mustKeys(root []byte, previous ...[]byte) *secret.Keys {
	keys, err := secret.New(root, previous...)
	if err != nil {
		panic(err)
	}
	return keys
}

// world is a node of the second factor on a real database, with carriers that a test speaks for and a clock that it
// moves. Nothing runs by itself but in work.
type world struct {
	testing.TB
	*Service
	db       storage.Store
	clock    *clock.Manual
	whatsApp *carrier
	sms      *carrier
	defence  *defence
	person   string
	phone    storage.PhoneFactor
	limits   throttle.Limits
	log      *bytes.Buffer
	alarms   []Alarm
}

// carrier answers sends as the test says; nil accepts.
type carrier struct {
	mu       sync.Mutex
	prefix   string
	messages []Message
	answer   func(n int) error
}

func (c *carrier) Send(_ context.Context, m Message) (Sent, error) {
	c.mu.Lock()
	c.messages = append(c.messages, m)
	n, answer := len(c.messages), c.answer
	c.mu.Unlock()
	if answer != nil {
		if err := answer(n); err != nil {
			return Sent{}, err
		}
	}
	return Sent{MessageID: fmt.Sprintf("%s%d", c.prefix, n)}, nil
}

func (c *carrier) sent() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

func refuse(class Class, code string) func(int) error {
	return func(int) error { return &Refused{Failure: Failure{Class: class, Code: code}, NotSent: true} }
}

// prices are what a message of a carrier costs everywhere.
type prices map[string]storage.Money

func (p prices) Price(carrier, _ string, _ time.Time) storage.Money { return p[carrier] }

// defence refuses the prefixes that a test names: "sms" + prefix, or "instant" + prefix.
type defence struct {
	mu      sync.Mutex
	refused []string
	asked   []SMSQuestion
}

func (d *defence) Refuses(q SMSQuestion) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q)
	edge := "sms"
	if q.Instant {
		edge = "instant"
	}
	return slices.Contains(d.refused, edge+q.Prefix)
}

// served are the defaults of an installation that serves these countries.
func served(countries ...string) Settings {
	s := Defaults()
	s.Countries = countries
	return s
}

// newWorld makes a node on a fresh SQLite database with one person who has a verified phone.
func newWorld(t testing.TB, change ...func(*Config)) *world {
	return newWorldOn(t, storagetest.New(t), change...)
}

func newWorldOn(t testing.TB, db storage.Store, change ...func(*Config)) *world {
	w := newNode(t, db, clock.NewManual(testStart), change...)
	w.person = storage.NewID()
	phone, err := ParsePhone(testNumber, "")
	if err != nil {
		t.Fatal(err)
	}
	w.phone = SealPhone(testKeys, w.person, phone, testStart, testStart)
	w.tx(func(ctx context.Context) error {
		if err := db.InsertPerson(ctx, storage.Person{ID: w.person, Username: w.person, CreatedAt: testStart, UpdatedAt: testStart}); err != nil {
			return err
		}
		return db.PutPhone(ctx, w.phone)
	})
	return w
}

// newNode makes a node on a database that may have others.
func newNode(t testing.TB, db storage.Store, c *clock.Manual, change ...func(*Config)) *world {
	t.Helper()
	w := &world{
		TB: t, db: db, clock: c, limits: throttle.Defaults(), log: new(bytes.Buffer),
		whatsApp: &carrier{prefix: "wamid."}, sms: &carrier{prefix: "SM"},
		defence: &defence{},
	}
	cfg := Config{
		Store: db, Keys: testKeys, Clock: c, Throttle: throttle.New(w.limits, testKeys),
		Audit:    audit.NewWriter(audit.Config{Events: db, Clock: c, Node: "test", Release: "test"}),
		Carriers: []Carrier{{"meta", storage.WhatsApp, w.whatsApp}, {"twilio", storage.SMS, w.sms}},
		Prices:   prices{"meta": 300, "twilio": 900, "vonage": 1100},
		Guard:    w.defence,
		Settings: served(AllCountries),
		Hooks:    Hooks{Alarm: func(a Alarm) { w.alarms = append(w.alarms, a) }},
		Log:      slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	return w
}

func (w *world) ctx() context.Context {
	return reqinfo.With(context.Background(), reqinfo.Info{CorrelationID: "correlation", Source: "192.0.2.7", UserAgent: "test browser"})
}

func (w *world) tx(f func(ctx context.Context) error) {
	w.Helper()
	if err := w.db.InTx(w.ctx(), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) request() Start {
	return Start{
		PersonID: w.person, AuthRequestID: testRequest, ClientID: "client", BrowserHash: testBrowser,
		Purpose: storage.PurposeLogin, Locale: "it",
	}
}

// begin starts a challenge; policies may narrow what is allowed.
func (w *world) begin(change ...func(*Start)) storage.Challenge {
	w.Helper()
	st := w.request()
	for _, f := range change {
		f(&st)
	}
	c, err := w.Start(w.ctx(), st)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func policy(p Policy) func(*Start) { return func(st *Start) { st.Policy = p } }

// work runs the dispatcher until everything that is due has been done: a refusal on WhatsApp, and the SMS after it.
func (w *world) work() {
	w.Helper()
	for range 3 {
		var calls sync.WaitGroup
		_, err := w.pass(w.ctx(), &calls, false, time.Time{})
		calls.Wait()
		if err != nil {
			w.Fatal(err)
		}
	}
	if err := w.keepCircuits(w.ctx()); err != nil {
		w.Fatal(err)
	}
}

// claimOnly does one round: what is due is sent and settled, what comes of it stays queued.
func (w *world) claimOnly() {
	w.Helper()
	var calls sync.WaitGroup
	if _, err := w.claimQueued(w.ctx(), &calls); err != nil {
		w.Fatal(err)
	}
	calls.Wait()
}

// after moves the clock and works.
func (w *world) after(d time.Duration) {
	w.Helper()
	w.clock.Advance(d)
	w.work()
}

func (w *world) deliveries(c storage.Challenge) []storage.Delivery {
	w.Helper()
	ds, err := w.db.DeliveriesOf(w.ctx(), c.ID)
	if err != nil {
		w.Fatal(err)
	}
	return ds
}

func (w *world) reload(c storage.Challenge) storage.Challenge {
	w.Helper()
	c, err := w.db.Challenge(w.ctx(), c.ID)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// last returns the newest delivery.
func (w *world) last(c storage.Challenge) storage.Delivery {
	w.Helper()
	ds := w.deliveries(c)
	return ds[len(ds)-1]
}

func (w *world) report(d storage.Delivery, status storage.DeliveryState, failure ...Failure) {
	w.Helper()
	r := Report{Channel: d.Channel, Carrier: d.Carrier, DeliveryID: d.ID, Status: status, At: w.clock.Now()}
	if len(failure) > 0 {
		r.Failure = failure[0]
	}
	if err := w.Receive(w.ctx(), []Report{r}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) passcode(c storage.Challenge) string {
	w.Helper()
	p, err := derive(testKeys, c)
	if err != nil {
		w.Fatal(err)
	}
	return p.Reveal()
}

// wrongPasscode is any other one.
func (w *world) wrongPasscode(c storage.Challenge) string {
	w.Helper()
	if w.passcode(c) == "000000" {
		return "000001"
	}
	return "000000"
}

func (w *world) attempt(c storage.Challenge, passcode string) Attempt {
	return Attempt{
		ChallengeID: c.ID, AuthRequestID: c.AuthRequestID, BrowserHash: c.BrowserHash, Purpose: c.Purpose, Passcode: passcode,
	}
}

func (w *world) enter(c storage.Challenge, passcode string) (Verified, error) {
	return w.Verify(w.ctx(), w.attempt(c, passcode), func(context.Context, Verified) error { return nil })
}

func (w *world) events(kinds ...string) []storage.Event {
	w.Helper()
	all, err := w.db.ListEvents(w.ctx(), storage.EventFilter{Limit: 10000})
	if err != nil {
		w.Fatal(err)
	}
	if len(kinds) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(e storage.Event) bool { return !slices.Contains(kinds, e.Kind) })
}

func (w *world) wantEvents(kind string, n int) {
	w.Helper()
	if got := len(w.events(kind)); got != n {
		w.Errorf("%d events %s, want %d", got, kind, n)
	}
}

// wantTrail checks the messages of a challenge: "channel trigger state" each.
func (w *world) wantTrail(c storage.Challenge, want ...string) {
	w.Helper()
	var got []string
	for _, d := range w.deliveries(c) {
		got = append(got, fmt.Sprintf("%s %s %s", d.Channel, d.Trigger, d.State))
	}
	if !slices.Equal(got, want) {
		w.Errorf("deliveries:\n got %s\nwant %s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

// wantNoSecrets fails when a passcode, the number or a message id shows in a log or an event.
func (w *world) wantNoSecrets(passcodes ...string) {
	w.Helper()
	encoded, err := json.Marshal(w.events())
	if err != nil {
		w.Fatal(err)
	}
	text := string(encoded) + w.log.String()
	for _, s := range append(passcodes, testNumber, testNumber[1:], "wamid.") {
		if strings.Contains(text, s) {
			w.Errorf("%q shows in the events or the log", s)
		}
	}
}

func asEnded(err error) storage.ChallengeEnd {
	var ended *EndedError
	if errors.As(err, &ended) {
		return "ended " + ended.End
	}
	return ""
}

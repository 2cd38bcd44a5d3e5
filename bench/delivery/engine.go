package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parola-id/parola/bench/rig"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/internal/throttle"
	"github.com/parola-id/parola/mfa"
	"github.com/parola-id/parola/mfa/sms"
	"github.com/parola-id/parola/mfa/whatsapp"
	"github.com/parola-id/parola/storage"
)

// engine is the second factor alone, in this process: what starts a challenge without a password, as a step-up does.
type engine struct {
	service *mfa.Service
	people  []rig.Person
	phones  map[string]storage.PhoneFactor
	tap     *rig.Tap
	store   storage.Store
	stop    func()
}

// flat is a price list with one price.
type flat struct{}

func (flat) Price(string, string, time.Time) storage.Money { return 500 }

// guard lets everything through.
type guard struct{}

func (guard) Refuses(mfa.SMSQuestion) bool { return false }

// carrier answers every send at once, as a carrier with an even temper: what is measured is our side.
func carrier() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/Messages.json") {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"sid":"SM%s","status":"queued"}`, storage.NewID())
			return
		}
		fmt.Fprintf(w, `{"messaging_product":"whatsapp","messages":[{"id":"wamid.%s","message_status":"accepted"}]}`, storage.NewID())
	})
}

// newEngine opens a fresh database with people in it and starts the dispatcher and the sealer.
func newEngine(ctx context.Context, o options, people int, change func(*mfa.Settings)) (*engine, error) {
	in, err := rig.Install(ctx, rig.Options{DSN: o.dsn, TemplateTTL: 30 * time.Second, NotEntered: time.Minute,
		PasscodeLife: 5 * time.Minute, CallTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	store, err := in.OpenStore(ctx)
	if err != nil {
		in.Close()
		return nil, err
	}
	root := make([]byte, secret.RootSize)
	rand.Read(root)
	keys, err := secret.New(root)
	if err != nil {
		return nil, err
	}
	e := &engine{store: store, phones: map[string]storage.PhoneFactor{}, tap: rig.NewTap(carrier())}
	server := httptest.NewServer(e.tap)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	e.stop = func() {
		cancel()
		work.Wait()
		server.CloseClientConnections()
		server.Close()
		store.Close()
		in.Close()
	}
	if err := e.fill(ctx, store, keys, people); err != nil {
		e.stop()
		return nil, err
	}
	writer := audit.NewWriter(audit.Config{Events: store, Clock: clock.System{}, Node: "bench", Release: "bench"})
	if err := e.start(store, writer, keys, server.URL, in.Config().Limits, change); err != nil {
		e.stop()
		return nil, err
	}
	sealer := audit.NewSealer(audit.SealerConfig{Store: store, Audit: writer, Clock: clock.System{}, Holder: "bench",
		Key: ed25519.NewKeyFromSeed(keys.Bytes(secret.Audit))})
	work.Go(func() { _ = e.service.Run(running) })
	work.Go(func() { _ = sealer.Run(running) })
	return e, nil
}

func (e *engine) start(store storage.Store, writer *audit.Writer, keys *secret.Keys, carriers string, limits throttle.Limits, change func(*mfa.Settings)) error {
	transport := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	meta, err := whatsapp.New(whatsapp.Config{BaseURL: carriers, Version: "v25.0", PhoneNumberID: "106000000000001", AccessToken: "token",
		AppSecrets: []string{"a secret of the bench"}, VerifyToken: "verify", Template: "parola_login_code", Languages: []string{"en_US"}, HTTPClient: transport})
	if err != nil {
		return err
	}
	twilio, err := sms.NewTwilio(sms.TwilioConfig{
		Config: sms.Config{BaseURL: carriers, CallbackURL: "http://127.0.0.1/callback", HTTPClient: transport,
			Text: func(_, passcode string) (string, error) { return passcode, nil }},
		AccountSID: "AC00000000000000000000000000000000", AuthTokens: []string{"token"}, From: "+12025550123",
	})
	if err != nil {
		return err
	}
	settings := mfa.Defaults()
	settings.Countries, settings.Workers = []string{"IT"}, 64
	change(&settings)
	e.service, err = mfa.New(mfa.Config{Store: store, Audit: writer, Keys: keys, Clock: clock.System{}, Throttle: throttle.New(limits, keys),
		Carriers: []mfa.Carrier{{Name: "meta", Channel: storage.WhatsApp, Sender: meta}, {Name: "twilio", Channel: storage.SMS, Sender: twilio}},
		Prices:   flat{}, Guard: guard{}, Settings: settings})
	return err
}

// fill adds people with phones and without passwords: nobody types one here.
func (e *engine) fill(ctx context.Context, store storage.Store, keys *secret.Keys, people int) error {
	now := time.Now()
	return store.InTx(ctx, func(ctx context.Context) error {
		for i := range people {
			p := storage.Person{ID: storage.NewID(), Username: fmt.Sprintf("engine-%d", i), CreatedAt: now, UpdatedAt: now}
			number, err := mfa.ParsePhone(fmt.Sprintf("+39347%07d", i), "")
			if err != nil {
				return err
			}
			phone := mfa.SealPhone(keys, p.ID, number, now, now)
			if err := store.InsertPerson(ctx, p); err != nil {
				return err
			}
			if err := store.PutPhone(ctx, phone); err != nil {
				return err
			}
			e.people = append(e.people, rig.Person{ID: p.ID})
			e.phones[p.ID] = phone
		}
		return nil
	})
}

// stepUp starts a challenge and returns its moment.
func (e *engine) stepUp(ctx context.Context, i int) (storage.Challenge, time.Time, error) {
	phone := e.phones[e.people[i].ID]
	began := time.Now()
	c, err := e.service.Start(ctx, mfa.Start{PersonID: e.people[i].ID, AuthRequestID: storage.NewTimeID(began), ClientID: "bench",
		BrowserHash: []byte("a browser"), Purpose: storage.PurposeStepUp, Locale: "en", Phone: &phone, First: true})
	return c, began, err
}

// stepUps starts challenges at a steady rate, and times the way to the carrier's socket.
func stepUps(ctx context.Context, o options) ([]figure, error) {
	const perSecond = 200
	n := perSecond * o.seconds
	e, err := newEngine(ctx, o, n, func(*mfa.Settings) {})
	if err != nil {
		return nil, err
	}
	defer e.stop()
	started := newMoments()
	began := time.Now()
	err = steadily(ctx, n, perSecond, func(ctx context.Context, i int) error {
		c, at, err := e.stepUp(ctx, i)
		started.note(c.ID, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	calls, err := e.await(ctx, n)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for _, c := range calls {
		times = append(times, c.at.Sub(started.at(c.challenge)))
	}
	f := figureOf("step-up started → carrier's socket", times)
	f.PerSecond = float64(n) / took.Seconds()
	return []figure{f}, nil
}

// deadlines opens as many challenges as a busy hour has open, one in six of which is never delivered, and times how late the
// SMS of each of those comes: from its deadline to the carrier's socket. That is as many deadlines per second as 10,000 open
// challenges that live for five minutes have if every one of them falls back.
func deadlines(ctx context.Context, o options) ([]figure, error) {
	const open, perSecond, oneIn = 10_000, 200, 6
	// The first deadline comes when all are open.
	after := open/perSecond*time.Second + 5*time.Second
	e, err := newEngine(ctx, o, open, func(s *mfa.Settings) { s.TemplateTTL, s.NotEntered = after, mfa.NotEnteredOff })
	if err != nil {
		return nil, err
	}
	defer e.stop()
	var calls atomic.Int64
	e.tap.Seen = func(c rig.Call) {
		if c.Channel == string(storage.WhatsApp) && calls.Add(1)%oneIn != 0 {
			time.AfterFunc(100*time.Millisecond, func() { e.delivered(c.Delivery) })
		}
	}
	err = steadily(ctx, open, perSecond, func(ctx context.Context, i int) error {
		_, _, err := e.stepUp(ctx, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, err := e.await(ctx, open+open/oneIn)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for _, c := range all {
		if c.channel == storage.SMS {
			times = append(times, c.at.Sub(c.deadline))
		}
	}
	f := figureOf("deadline → SMS on the socket", times)
	f.Note = fmt.Sprintf("%d challenges open, %d deadlines per second", open, perSecond/oneIn)
	return []figure{f}, nil
}

// delivered is the receipt of a message that reached its phone. One that cannot be written is no matter: the message then
// has a deadline too.
func (e *engine) delivered(delivery string) {
	_ = e.service.Receive(context.Background(), []mfa.Report{{Channel: storage.WhatsApp, Carrier: whatsapp.Carrier,
		DeliveryID: delivery, Status: storage.DeliveryDelivered, At: time.Now()}})
}

// sent is one call to a carrier with what the database says of it.
type sent struct {
	challenge string
	channel   storage.Channel
	at        time.Time
	// deadline is when the SMS was due: the acceptance of the WhatsApp message before it, and what policy adds.
	deadline time.Time
}

// await waits until the carriers were called n times.
func (e *engine) await(ctx context.Context, n int) ([]sent, error) {
	calls := e.tap.Calls()
	for progress := time.Now(); len(calls) < n; {
		before := len(calls)
		if ctx.Err() != nil || time.Since(progress) > 90*time.Second {
			return nil, fmt.Errorf("%d of %d calls came", len(calls), n)
		}
		time.Sleep(200 * time.Millisecond)
		if calls = e.tap.Calls(); len(calls) > before {
			progress = time.Now()
		}
	}
	time.Sleep(time.Second) // what was answered is written down
	ids := make([]string, len(calls))
	for i, c := range calls {
		ids[i] = c.Delivery
	}
	deliveries := map[string]storage.Delivery{}
	accepted := map[string]time.Time{} // WhatsApp's, by challenge
	for chunk := range slices.Chunk(ids, 200) {
		found, err := e.store.DeliveriesByID(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			deliveries[d.ID] = d
			if d.Channel == storage.WhatsApp {
				accepted[d.ChallengeID] = d.AcceptedAt
			}
		}
	}
	policy := e.service.Settings().TemplateTTL + 5*time.Second
	var all []sent
	for _, c := range calls {
		d := deliveries[c.Delivery]
		all = append(all, sent{d.ChallengeID, d.Channel, c.At, accepted[d.ChallengeID].Add(policy)})
	}
	return all, nil
}

// moments are when challenges were started.
type moments struct {
	mu  sync.Mutex
	all map[string]time.Time
}

func newMoments() *moments { return &moments{all: map[string]time.Time{}} }

func (m *moments) note(id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[id] = at
}

func (m *moments) at(id string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[id]
}

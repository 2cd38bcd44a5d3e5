package check_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parola-id/parola/bench/check"
	"github.com/parola-id/parola/internal/audit"
	"github.com/parola-id/parola/storage"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// record is a record to spoil.
type record struct{ *check.Record }

// soundRecord is that of two logins: one by WhatsApp, whose tokens were refreshed once, and one whose WhatsApp message did
// not arrive, got its SMS and was left alone.
func soundRecord() record {
	about := func(challenge, delivery string, kinds ...string) (events []storage.Event) {
		for _, kind := range kinds {
			kind, word, _ := strings.Cut(kind, " ")
			e := storage.Event{Kind: kind, AuthRequestID: "of " + challenge, ChallengeID: challenge, DeliveryID: delivery, PersonID: "person " + challenge}
			switch {
			case kind == audit.PasscodeReceipt:
				e.Data = map[string]string{"status": word}
			case kind == audit.SessionCreated:
				e.SessionID = "session"
			case strings.HasPrefix(kind, "oauth.") && kind != audit.AuthorizeStarted:
				e.GrantID = "grant"
			default:
				e.Reason = word
			}
			events = append(events, e)
		}
		return events
	}
	r := record{&check.Record{
		Challenges: []storage.Challenge{
			{ID: "one", PersonID: "person one", AuthRequestID: "of one", Tries: 2, MaxTries: 5, EndedAt: noon, End: storage.ChallengeVerified},
			{ID: "two", PersonID: "person two", AuthRequestID: "of two", MaxTries: 5, EndedAt: noon, End: storage.ChallengeExpired},
		},
		Deliveries: []storage.Delivery{
			{ID: "w1", ChallengeID: "one", Channel: storage.WhatsApp, State: storage.DeliveryDelivered, Calls: 1},
			{ID: "w2", ChallengeID: "two", Channel: storage.WhatsApp, State: storage.DeliveryAccepted, Calls: 1},
			{ID: "s2", ChallengeID: "two", Channel: storage.SMS, State: storage.DeliveryDelivered, Calls: 1, Automatic: true, Trigger: "not_delivered"},
		},
		Notices:  []storage.Notice{{ID: "n1", State: storage.DeliveryAccepted}},
		Sessions: []storage.Session{{ID: "session", PersonID: "person one", CreatedAt: noon}},
		Grants: []storage.Grant{{ID: "grant", PersonID: "person one", SessionID: "session", AuthRequestID: "of one", CreatedAt: noon,
			AuthCodeHash: "hash", AuthCodeUsedAt: noon}},
		Tokens: []storage.Token{
			{Kind: storage.AccessToken, GrantID: "grant"}, {Kind: storage.RefreshToken, GrantID: "grant", UsedAt: noon},
			{Kind: storage.AccessToken, GrantID: "grant"}, {Kind: storage.RefreshToken, GrantID: "grant"},
		},
		Events: slices.Concat(
			about("one", "", audit.AuthorizeStarted, audit.PasswordSuccess),
			about("one", "w1", audit.PasscodeQueued, audit.PasscodeSent, audit.PasscodeReceipt+" delivered"),
			about("one", "", audit.PasscodeFail+" wrong", audit.PasscodeSuccess, audit.SessionCreated, audit.CodeIssued),
			about("one", "", audit.CodeRedeemed, audit.TokenIssued, audit.TokenRefreshed),
			about("two", "", audit.AuthorizeStarted, audit.PasswordSuccess),
			about("two", "w2", audit.PasscodeQueued, audit.PasscodeSent),
			about("two", "s2", audit.PasscodeFallback, audit.PasscodeQueued, audit.PasscodeSent, audit.PasscodeReceipt+" delivered"),
			about("two", "", audit.PasscodeExpired),
		),
		Calls: []check.Call{{Delivery: "w1", Taken: true}, {Delivery: "w2", Taken: true}, {Delivery: "s2", Taken: true}},
		Asked: 3,
		Told:  check.Told{People: map[string]check.Answers{"person one": {AuthCodes: 1, Redeemed: 1, Refreshed: 1, Wrong: 1}}},
	}}
	r.seal()
	return r
}

// seal gives every event its place in the chain.
func (r record) seal() {
	head := make([]byte, sha256.Size)
	for i := range r.Events {
		e := &r.Events[i]
		hash := sha256.Sum256(append(slices.Clone(head), e.Kind...))
		e.Sequence, e.PrevHash, e.Hash = int64(i+1), head, hash[:]
		head = e.Hash
	}
}

func (r record) message(id string) *storage.Delivery {
	return &r.Deliveries[slices.IndexFunc(r.Deliveries, func(d storage.Delivery) bool { return d.ID == id })]
}

// forget takes the events of a kind about a challenge out of the log.
func (r record) forget(challenge, kind string) {
	r.Events = slices.DeleteFunc(r.Events, func(e storage.Event) bool { return e.ChallengeID == challenge && e.Kind == kind })
	r.seal()
}

func (r record) tell(e storage.Event) {
	r.Events = append(r.Events, e)
	r.seal()
}

// withoutSMS takes the SMS of the second login out of the record, as if it had never been.
func (r record) withoutSMS() {
	r.Deliveries = r.Deliveries[:2]
	r.Calls, r.Asked = r.Calls[:2], 2
	r.Events = slices.DeleteFunc(r.Events, func(e storage.Event) bool { return e.DeliveryID == "s2" })
	r.seal()
}

// state puts a message into a state that no event speaks of.
func state(id string, s storage.DeliveryState) func(record) {
	return func(r record) {
		r.message(id).State = s
		r.Events = slices.DeleteFunc(r.Events, func(e storage.Event) bool { return e.DeliveryID == id && e.Kind != audit.PasscodeQueued })
		r.seal()
	}
}

func told(a check.Answers) func(record) {
	return func(r record) { r.Told.People["person one"] = a }
}

// violations are what each invariant must find.
var violations = map[string]map[string]struct {
	spoil func(r record)
	want  string
}{
	"the database is sound without repair": {
		"a page that is lost": {func(r record) { r.Damage = []string{"page 7 is never used"} }, "page 7"},
	},
	"nobody is signed in who did not finish": {
		"a session without its event":          {func(r record) { r.forget("one", audit.SessionCreated) }, "no event tells that it was created"},
		"a session of somebody else":           {func(r record) { r.Sessions[0].PersonID = "mallory" }, "is of mallory, and was created for person one"},
		"a session without a password":         {func(r record) { r.forget("one", audit.PasswordSuccess) }, "no right password"},
		"a session without a passcode":         {func(r record) { r.Challenges[0].End = storage.ChallengeExpired }, "no challenge"},
		"a session by another's challenge":     {func(r record) { r.Challenges[0].PersonID = "mallory" }, "no challenge"},
		"a session before the passcode":        {func(r record) { r.Sessions[0].CreatedAt = noon.Add(-time.Second) }, "no challenge"},
		"a grant without a session":            {func(r record) { r.Sessions = nil }, `person one has no session "session"`},
		"a grant of another's session":         {func(r record) { r.Grants[0].PersonID = "mallory" }, `mallory has no session "session"`},
		"a grant after the end of its session": {func(r record) { r.Sessions[0].EndedAt = noon.Add(-time.Second) }, "was not open"},
		"a grant that nobody asked for":        {func(r record) { r.forget("one", audit.AuthorizeStarted) }, "nobody asked for it"},
	},
	"what works once worked once": {
		"a passcode accepted twice":              {func(r record) { r.tell(storage.Event{Kind: audit.PasscodeSuccess, ChallengeID: "one"}) }, "accepted 2 times"},
		"a passcode accepted after the end":      {func(r record) { r.tell(storage.Event{Kind: audit.PasscodeSuccess, ChallengeID: "two"}) }, `ended as "expired": its passcode was accepted 1 times`},
		"a verified challenge without its event": {func(r record) { r.forget("one", audit.PasscodeSuccess) }, "accepted 0 times"},
		"two AuthCodes of one AuthRequest":       {func(r record) { r.tell(storage.Event{Kind: audit.CodeIssued, AuthRequestID: "of one"}) }, "2 AuthCodes were issued"},
		"two grants of one AuthRequest":          {func(r record) { r.Grants = append(r.Grants, storage.Grant{ID: "other", AuthRequestID: "of one"}) }, "led to 2 grants"},
		"an AuthCode redeemed twice":             {func(r record) { r.tell(storage.Event{Kind: audit.CodeRedeemed, GrantID: "grant"}) }, "redeemed 2 times"},
		"a refresh token with two children": {func(r record) {
			r.Tokens = append(r.Tokens, storage.Token{Kind: storage.RefreshToken, GrantID: "grant", RevokedAt: noon})
		}, "3 refresh tokens, of which 1 were used"},
		"two good refresh tokens":          {func(r record) { r.Tokens[1].UsedAt = time.Time{} }, "0 were used and 2 are good"},
		"a refresh without its event":      {func(r record) { r.forget("one", audit.TokenRefreshed) }, "1 refresh tokens were used, and 0 refreshes"},
		"two answers to one refresh token": {func(r record) { r.Told.Twice = []string{"refresh token of person one"} }, "accepted more than once: refresh token"},
	},
	"what succeeded is in the log": {
		"a token that nobody issued":      {func(r record) { r.forget("one", audit.TokenIssued) }, "2 access tokens, and 1 events"},
		"an AuthCode without its event":   {func(r record) { r.forget("one", audit.CodeIssued) }, "no event tells of its AuthCode"},
		"an exchange without its event":   {func(r record) { r.forget("one", audit.CodeRedeemed) }, "its AuthCode was used, and no event says so"},
		"a revocation without its event":  {func(r record) { r.Grants[0].RevokedAt = noon }, "it was revoked (), and no event says so"},
		"an AuthCode without its request": {func(r record) { r.forget("one", audit.AuthorizeStarted) }, "an AuthCode was issued, and no event " + audit.AuthorizeStarted},
		"a passcode without a message":    {func(r record) { r.forget("one", audit.PasscodeQueued) }, "a passcode was accepted that was never sent"},
	},
	"a message is on disk before its carrier is asked": {
		"a call for a message of no record": {func(r record) { r.Calls[0].Delivery = "x9" }, "a message that is in no record: x9"},
		"a call that is not counted":        {func(r record) { r.message("w1").Calls = 0 }, "called 1 times, and 0 calls are counted"},
	},
	"no second automatic SMS": {
		"in the database": {func(r record) {
			r.Deliveries = append(r.Deliveries, storage.Delivery{ID: "s3", ChallengeID: "two", Channel: storage.SMS, Automatic: true})
		}, "2 automatic SMS in the database, 1 on the wire"},
		"on the wire": {func(r record) { r.Calls = append(r.Calls, r.Calls[2]) }, "1 automatic SMS in the database, 2 on the wire"},
	},
	"no message went out twice": {
		"by WhatsApp": {func(r record) { r.Calls = append(r.Calls, r.Calls[0]) }, "message w1 was taken by its carrier 2 times"},
	},
	"every message is explained by its events": {
		"a message that was never announced":       {func(r record) { r.forget("one", audit.PasscodeQueued) }, "w1 was never announced"},
		"accepted without its event":               {state("w2", storage.DeliveryAccepted), `w2 is "accepted", and no event says why`},
		"sent without its receipt":                 {state("w2", storage.DeliverySent), `w2 is "sent", and no event says why`},
		"delivered without its receipt":            {state("w1", storage.DeliveryDelivered), `w1 is "delivered", and no event says why`},
		"read without its receipt":                 {state("w1", storage.DeliveryRead), `w1 is "read", and no event says why`},
		"failed without its event":                 {state("w2", storage.DeliveryFailed), `w2 is "failed", and no event says why`},
		"unknown without its event":                {state("w2", storage.DeliveryUnknown), `w2 is "unknown", and no event says why`},
		"dropped without its event":                {state("w2", storage.DeliverySkipped), `w2 is "skipped", and no event says why`},
		"delivered, and the carrier was not asked": {func(r record) { r.Calls, r.Asked = r.Calls[1:], 2 }, `w1 is "delivered", and its carrier never took it`},
		"delivered, and the carrier refused it":    {func(r record) { r.Calls[0].Taken = false }, `w1 is "delivered", and its carrier never took it`},
	},
	"counters are not below what happened": {
		"a passcode compared and not counted":    {func(r record) { r.Challenges[0].Tries = 1 }, "1 of 5 tries are counted, and 2 passcodes were compared"},
		"more tries than there are":              {func(r record) { r.Challenges[0].Tries = 6 }, "6 of 5 tries"},
		"a wrong passcode answered, not counted": {told(check.Answers{Wrong: 3}), "told 3 times that a passcode is wrong, and 2 tries are counted"},
	},
	"what was told is kept": {
		"an AuthCode that the log does not know":  {told(check.Answers{AuthCodes: 2}), "saw 2 times what the log calls oauth.code.issued, and the log has 1"},
		"an exchange that the log does not know":  {told(check.Answers{Redeemed: 2}), "what the log calls oauth.code.redeemed, and the log has 1"},
		"a refresh that the log does not know":    {told(check.Answers{Refreshed: 2}), "what the log calls oauth.token.refreshed, and the log has 1"},
		"an answer to somebody who has no events": {func(r record) { r.Told.People["nobody"] = check.Answers{AuthCodes: 1} }, "nobody saw 1 times"},
	},
	"the chain of events is whole": {
		"what a verification finds":   {func(r record) { r.Chain = []string{"changed: event 3"} }, "changed: event 3"},
		"an event in two places":      {func(r record) { r.Events = append(r.Events, storage.Event{ID: "e"}, storage.Event{ID: "e"}) }, "event e is there twice"},
		"an event that is gone":       {func(r record) { r.Events = slices.Delete(r.Events, 3, 4) }, "number 4 is missing"},
		"an event that is not linked": {func(r record) { r.Events[3].PrevHash = []byte("other") }, "event 4 does not continue"},
		"an event that was replaced":  {func(r record) { r.Heads = map[int64][]byte{3: []byte("other")} }, "event 3 is another one than before"},
		"an end that is gone":         {func(r record) { r.Heads = map[int64][]byte{1000: {}} }, "event 1000 was there and is gone"},
	},
	"no message is owed": {
		"a message that still waits":         {state("w2", storage.DeliveryQueued), `w2 still is "queued"`},
		"a message that still is on the way": {state("s2", storage.DeliverySending), `s2 still is "sending"`},
		"a message dropped for no reason": {func(r record) {
			state("w1", storage.DeliverySkipped)(r)
			r.Challenges[0].EndedAt = time.Time{}
		}, "w1 was dropped while it was open"},
		"a challenge that nobody ended": {func(r record) { r.Challenges[1].EndedAt = time.Time{} }, "two: still open"},
		"an SMS that was owed":          {record.withoutSMS, "no SMS ever followed"},
		"a warning that still waits":    {func(r record) { r.Notices[0].State = storage.DeliveryQueued }, `warning n1 still is "queued"`},
	},
	"every event has its place in the chain": {
		"one without": {func(r record) { r.Events = append(r.Events, storage.Event{}) }, "1 events are not sealed"},
	},
}

func TestEachInvariantFindsItsViolations(t *testing.T) {
	for _, i := range check.Invariants() {
		cases := violations[i.Name]
		if len(cases) == 0 {
			t.Errorf("%s: no violation of it is tried", i.Name)
		}
		for name, tt := range cases {
			t.Run(i.Name+"/"+name, func(t *testing.T) {
				r := soundRecord()
				tt.spoil(r)
				holds := func(f check.Finding) bool { return f.Invariant == i.Name && strings.Contains(f.Detail, tt.want) }
				if found := r.Over(); !slices.ContainsFunc(found, holds) {
					t.Errorf("found %q, want %q", found, tt.want)
				}
				if found := r.AtOnce(); slices.ContainsFunc(found, holds) != i.AtOnce {
					t.Errorf("at once, found %q", found)
				}
			})
		}
	}
}

func TestNothingIsFoundInASoundRecord(t *testing.T) {
	for name, change := range map[string]func(r record){
		"as it is": func(record) {},
		"no SMS because of a security signal": func(r record) {
			r.withoutSMS()
			r.Challenges[1].IdentityBar = true
		},
		"no SMS because a limit refused it": func(r record) {
			r.withoutSMS()
			r.tell(storage.Event{Kind: audit.PasscodeSendRefused, ChallengeID: "two", Reason: "budget"})
		},
		"a refusal and its one retry": func(r record) {
			r.Calls, r.Asked = append([]check.Call{{Delivery: "w1"}}, r.Calls...), 4
			r.message("w1").Calls = 2
		},
		"a call that came after the database was read": func(r record) { r.Calls = append(r.Calls, check.Call{Delivery: "later"}) },
		"a family revoked after a replay": func(r record) {
			r.Grants[0].RevokedAt = noon
			r.tell(storage.Event{Kind: audit.TokenReuse, GrantID: "grant"})
		},
		"tokens of a client without a person": func(r record) {
			r.Grants = append(r.Grants, storage.Grant{ID: "machine"})
			r.Tokens = append(r.Tokens, storage.Token{Kind: storage.AccessToken, GrantID: "machine"})
			r.tell(storage.Event{Kind: audit.TokenIssued, GrantID: "machine"})
		},
		"heads that were seen before": func(r record) { r.Heads = map[int64][]byte{3: r.Events[2].Hash} },
	} {
		t.Run(name, func(t *testing.T) {
			r := soundRecord()
			change(r)
			if found := r.Over(); len(found) > 0 {
				t.Errorf("found %q", found)
			}
		})
	}
}

// A kill in the middle of the SMS call is the one case in which no SMS may follow: it is no finding, and it is shown.
func TestTheOneExceptionIsCounted(t *testing.T) {
	r := soundRecord()
	r.message("s2").State = storage.DeliveryUnknown
	r.Calls, r.Asked = r.Calls[:2], 2
	r.tell(storage.Event{Kind: audit.PasscodeSendFailed, Reason: "unknown", ChallengeID: "two", DeliveryID: "s2"})
	found := r.Over()
	if n := r.Count()["SMS whose call a kill cut off (the one exception)"]; n != 1 || len(found) > 0 {
		t.Errorf("counted %d, found %q", n, found)
	}
}

func TestAWitnessCountsWhatIsAcceptedTwice(t *testing.T) {
	w := check.NewWitness()
	w.AuthCode("ada", "a")
	w.AuthCode("ada", "a") // in two tabs
	w.Redeemed("ada", "a")
	w.Refreshed("ada", "r")
	w.Wrong("ada")
	if told := w.Told(); told.People["ada"] != (check.Answers{AuthCodes: 1, Redeemed: 1, Refreshed: 1, Wrong: 1}) || len(told.Twice) > 0 {
		t.Errorf("told %+v", told)
	}
	w.Redeemed("ada", "a")
	w.Refreshed("ada", "r")
	if told := w.Told(); len(told.Twice) != 2 {
		t.Errorf("accepted twice: %q", told.Twice)
	}
}

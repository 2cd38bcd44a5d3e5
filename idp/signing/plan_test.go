package signing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parola-id/parola/storage"
)

const day = 24 * time.Hour

func TestKEY03_PlanSaysWhatIsDue(t *testing.T) {
	schedule := Schedule{Every: 90 * day, Ahead: 10 * time.Minute, Keep: time.Hour}
	byHand := Schedule{Ahead: 10 * time.Minute, Keep: time.Hour}
	at := func(age time.Duration) time.Time { return testNow.Add(-age) }
	key := func(kid string, state storage.KeyState, created, activated time.Duration) storage.SigningKey {
		k := storage.SigningKey{KID: kid, Alg: ES256, State: state, CreatedAt: at(created)}
		if state != storage.KeyNext {
			k.ActivatedAt = at(activated)
		}
		return k
	}
	current := func(age time.Duration) storage.SigningKey { return key("current", storage.KeyCurrent, age, age) }
	rsa := current(89 * day)
	rsa.Alg = RS256
	for _, tt := range []struct {
		name string
		s    Schedule
		keys []storage.SigningKey
		want []Step
	}{
		{"no keys: nobody needs one", schedule, nil, nil},
		{"a young key signs on", schedule, []storage.SigningKey{current(time.Hour)}, nil},
		{"a key is published ahead of the end", schedule, []storage.SigningKey{current(90*day - 10*time.Minute)}, []Step{{Create, ES256, ""}}},
		{"not a moment earlier", schedule, []storage.SigningKey{current(90*day - 10*time.Minute - time.Second)}, nil},
		{"after a long stop it is published at once and does not sign yet", schedule, []storage.SigningKey{current(900 * day)}, []Step{{Create, ES256, ""}}},
		{"by hand, age is nothing", byHand, []storage.SigningKey{current(900 * day)}, nil},
		{"a next key waits until everybody knows it", schedule,
			[]storage.SigningKey{current(90 * day), key("next", storage.KeyNext, 10*time.Minute-time.Second, 0)}, nil},
		{"and then takes over", schedule,
			[]storage.SigningKey{current(90 * day), key("next", storage.KeyNext, 10*time.Minute, 0)}, []Step{{Activate, ES256, "next"}}},
		{"one that was made by hand too", byHand,
			[]storage.SigningKey{current(day), key("next", storage.KeyNext, time.Hour, 0)}, []Step{{Activate, ES256, "next"}}},
		{"of two in wait the older", schedule,
			[]storage.SigningKey{key("newer", storage.KeyNext, time.Hour, 0), key("older", storage.KeyNext, 2*time.Hour, 0), current(day)},
			[]Step{{Activate, ES256, "older"}}},
		{"a previous key stays while a token of it may live", schedule,
			[]storage.SigningKey{current(time.Hour), key("old", storage.KeyPrevious, 90*day, 90*day)}, nil},
		{"and goes after the last one", schedule,
			[]storage.SigningKey{current(time.Hour + time.Second), key("old", storage.KeyPrevious, 90*day, 90*day)}, []Step{{Retire, ES256, "old"}}},
		{"its end counts from its own successor, not from the current key", schedule,
			[]storage.SigningKey{current(time.Minute), key("second", storage.KeyPrevious, 91*day, 2*time.Hour), key("first", storage.KeyPrevious, 180*day, 180*day)},
			[]Step{{Retire, ES256, "first"}}},
		{"also when that one was withdrawn", schedule,
			[]storage.SigningKey{current(time.Minute), key("second", storage.KeyRetired, 91*day, 2*time.Hour), key("first", storage.KeyPrevious, 180*day, 180*day)},
			[]Step{{Retire, ES256, "first"}}},
		{"a key of the same moment as its successor", schedule,
			[]storage.SigningKey{current(2 * time.Hour), key("old", storage.KeyPrevious, 2*time.Hour, 2*time.Hour)}, []Step{{Retire, ES256, "old"}}},
		{"REL-11 a clock that went back makes nothing due", schedule,
			[]storage.SigningKey{current(-time.Hour), key("next", storage.KeyNext, -time.Hour, 0), key("old", storage.KeyPrevious, day, day)}, nil},
		{"algorithms have a schedule each", schedule, []storage.SigningKey{current(90 * day), rsa}, []Step{{Create, ES256, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Plan(tt.keys, testNow, tt.s)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

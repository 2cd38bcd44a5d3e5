package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testCircuits(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()
	circuit := func(name string) storage.Circuit {
		return storage.Circuit{Name: name, Reason: "failures", OpenedAt: noon, Until: noon.Add(30 * time.Second)}
	}
	held := func(name string) storage.Circuit {
		return storage.Circuit{Name: name, Held: true, Reason: "account_disabled", OpenedAt: noon}
	}
	open := func(t *testing.T, c storage.Circuit) (opened bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			opened, err = s.OpenCircuit(ctx, c)
			return err
		})
		return opened
	}
	probe := func(t *testing.T, name string, now time.Time) (taken bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			taken, err = s.ProbeCircuit(ctx, name, now, now.Add(15*time.Second))
			return err
		})
		return taken
	}
	closed := func(t *testing.T, name string, held bool) (closed bool) {
		t.Helper()
		write(t, s, func(ctx context.Context) (err error) {
			closed, err = s.CloseCircuit(ctx, name, held)
			return err
		})
		return closed
	}
	stored := func(t *testing.T, name string) storage.Circuit {
		t.Helper()
		for _, c := range must(s.Circuits(ctx))(t) {
			if c.Name == name {
				return c
			}
		}
		return storage.Circuit{}
	}

	t.Run("circuits come by name, as they were stored", func(t *testing.T) {
		same(t, must(s.Circuits(ctx))(t), []storage.Circuit{})
		b, a := held("listed/b"), circuit("listed/a")
		a.ProbeUntil = noon.Add(time.Minute)
		same(t, []bool{open(t, b), open(t, a)}, []bool{true, true})
		same(t, must(s.Circuits(ctx))(t), []storage.Circuit{a, b})
	})
	t.Run("the first who opens it is told so, until it is closed", func(t *testing.T) {
		c := circuit("carrier/twilio")
		same(t, open(t, c), true)
		c.Until, c.OpenedAt, c.Reason = noon.Add(time.Hour), noon.Add(time.Minute), "operator"
		same(t, open(t, c), false)
		same(t, stored(t, c.Name), c)
		same(t, []bool{closed(t, c.Name, false), closed(t, c.Name, false)}, []bool{true, false})
		same(t, stored(t, c.Name), storage.Circuit{})
		same(t, open(t, c), true)
	})
	t.Run("a held one stays held when it is opened for failures, and is not probed", func(t *testing.T) {
		c := held("carrier/meta")
		open(t, c)
		same(t, open(t, circuit(c.Name)), false)
		same(t, stored(t, c.Name), c)
		same(t, probe(t, c.Name, noon.Add(time.Hour)), false)
		same(t, closed(t, c.Name, false), false)
		c.Reason = "operator"
		same(t, open(t, c), false)
		same(t, stored(t, c.Name), c)
		same(t, closed(t, c.Name, true), true)
	})
	t.Run("an open one can become held", func(t *testing.T) {
		open(t, circuit("carrier/kannel"))
		same(t, open(t, held("carrier/kannel")), false)
		same(t, stored(t, "carrier/kannel"), held("carrier/kannel"))
	})
	t.Run("it is probed when its rest is over, by one at a time", func(t *testing.T) {
		c := circuit("country/sms/IT")
		open(t, c)
		same(t, probe(t, c.Name, c.Until.Add(-time.Millisecond)), false)
		same(t, probe(t, c.Name, c.Until), true)
		same(t, probe(t, c.Name, c.Until.Add(15*time.Second-time.Millisecond)), false)
		same(t, probe(t, c.Name, c.Until.Add(15*time.Second)), true)
		same(t, stored(t, c.Name).ProbeUntil, c.Until.Add(30*time.Second))
		open(t, c) // the probe failed
		same(t, stored(t, c.Name), c)
		same(t, probe(t, "none", noon), false)
	})
	t.Run("of eight nodes exactly one opens it, one probes it and one closes it", func(t *testing.T) {
		c := circuit("template/pt_BR")
		for what, act := range map[string]func(context.Context, storage.Store) (bool, error){
			"1 opens": func(ctx context.Context, s storage.Store) (bool, error) { return s.OpenCircuit(ctx, c) },
			"2 probes": func(ctx context.Context, s storage.Store) (bool, error) {
				return s.ProbeCircuit(ctx, c.Name, c.Until, c.Until.Add(time.Minute))
			},
			"3 closes": func(ctx context.Context, s storage.Store) (bool, error) { return s.CloseCircuit(ctx, c.Name, false) },
		} {
			t.Run(what, func(t *testing.T) {
				closed(t, c.Name, true)
				if what[0] != '1' {
					open(t, c)
				}
				same(t, race(t, 8, db.two(t), act), 1)
			})
		}
	})
}

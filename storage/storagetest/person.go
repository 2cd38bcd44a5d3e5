package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/parola-id/parola/storage"
)

func testPersons(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("a person is found by ID and by user name", func(t *testing.T) {
		p := seedPerson(t, s)
		same(t, must(s.Person(ctx, p.ID))(t), p)
		got, factors, err := s.PersonByUsername(ctx, p.Username)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, p)
		same(t, factors, storage.Factors{})
	})
	t.Run("nobody is not found", func(t *testing.T) {
		_, err := s.Person(ctx, "nobody")
		isError(t, err, storage.ErrNotFound)
		_, _, err = s.PersonByUsername(ctx, "nobody")
		isError(t, err, storage.ErrNotFound)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.UpdatePerson(ctx, personRecord()) })
	})
	t.Run("an ID or a user name cannot be taken twice", func(t *testing.T) {
		p := seedPerson(t, s)
		sameID, sameName := personRecord(), personRecord()
		sameID.ID, sameName.Username = p.ID, p.Username
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.InsertPerson(ctx, sameID) })
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.InsertPerson(ctx, sameName) })
		other := seedPerson(t, s)
		other.Username = p.Username
		refused(t, s, storage.ErrConflict, func(ctx context.Context) error { return s.UpdatePerson(ctx, other) })
	})
	t.Run("an update stores every field", func(t *testing.T) {
		p := seedPerson(t, s)
		p.Username, p.Claims, p.SMSForbidden = p.Username+"2", nil, false
		p.UpdatedAt, p.DisabledAt = noon.Add(time.Hour), noon.Add(time.Hour)
		write(t, s, func(ctx context.Context) error { return s.UpdatePerson(ctx, p) })
		same(t, must(s.Person(ctx, p.ID))(t), p)
	})
	t.Run("persons are listed by user name, after one, with a prefix", func(t *testing.T) {
		for _, name := range []string{"list-b", "list-a", "list_c", "LIST-d", "list-c"} {
			p := personRecord()
			p.Username = name
			write(t, s, func(ctx context.Context) error { return s.InsertPerson(ctx, p) })
		}
		names := func(f storage.PersonFilter) []string {
			var names []string
			for _, p := range must(s.ListPersons(ctx, f))(t) {
				names = append(names, p.Username)
			}
			return names
		}
		same(t, names(storage.PersonFilter{Prefix: "list-"}), []string{"list-a", "list-b", "list-c"})
		same(t, names(storage.PersonFilter{Prefix: "list-", After: "list-a"}), []string{"list-b", "list-c"})
		same(t, names(storage.PersonFilter{Prefix: "list-", Limit: 2}), []string{"list-a", "list-b"})
	})

	t.Run("a password is stored, replaced, and read with its person", func(t *testing.T) {
		p := seedPerson(t, s)
		f := storage.PasswordFactor{PersonID: p.ID, Hash: "$argon2id$1", KeyID: "k1", Normalization: 1, UpdatedAt: noon}
		write(t, s, func(ctx context.Context) error { return s.PutPassword(ctx, f) })
		f.Hash = "$argon2id$2"
		write(t, s, func(ctx context.Context) error { return s.PutPassword(ctx, f) })
		_, got, err := s.PersonByUsername(ctx, p.Username)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, storage.Factors{Password: f})
	})
	t.Run("a phone is read with its person", func(t *testing.T) {
		p := seedPerson(t, s)
		f := seedPhone(t, s, p.ID)
		_, got, err := s.PersonByUsername(ctx, p.Username)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, storage.Factors{Phone: f})
	})
	t.Run("a rehash does not undo a change", func(t *testing.T) {
		p := seedPerson(t, s)
		f := storage.PasswordFactor{PersonID: p.ID, Hash: "old"}
		write(t, s, func(ctx context.Context) error { return s.PutPassword(ctx, f) })
		f.Hash = "new"
		replace := func(old string) (done bool) {
			write(t, s, func(ctx context.Context) (err error) {
				done, err = s.ReplacePassword(ctx, old, f)
				return err
			})
			return done
		}
		same(t, []bool{replace("old"), replace("old")}, []bool{true, false})
	})
	t.Run("a password of nobody is refused", func(t *testing.T) {
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			return s.PutPassword(ctx, storage.PasswordFactor{PersonID: "nobody", Hash: "x"})
		})
	})
}

func testPhones(t *testing.T, db Database) {
	s := db.Open(t, Options{})
	ctx := context.Background()

	t.Run("a phone is found by ID and by person", func(t *testing.T) {
		f := seedPhone(t, s, seedPerson(t, s).ID)
		same(t, must(s.Phone(ctx, f.ID))(t), f)
		same(t, must(s.PhoneOf(ctx, f.PersonID))(t), f)
		_, err := s.Phone(ctx, "none")
		isError(t, err, storage.ErrNotFound)
		_, err = s.PhoneOf(ctx, "none")
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("a person's new phone replaces the older one", func(t *testing.T) {
		old := seedPhone(t, s, seedPerson(t, s).ID)
		f := seedPhone(t, s, old.PersonID)
		same(t, must(s.PhoneOf(ctx, old.PersonID))(t), f)
		_, err := s.Phone(ctx, old.ID)
		isError(t, err, storage.ErrNotFound)
	})
	t.Run("OTP-21 thirty wrong ones are compared and the next disables", func(t *testing.T) {
		f := phoneRecord(seedPerson(t, s).ID)
		f.Failures = 0
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		for i := range 31 {
			write(t, s, func(ctx context.Context) error {
				n, disabled, err := s.CountPhoneFailure(ctx, f.ID, 30, noon)
				if n != i+1 || disabled != (i == 30) {
					t.Errorf("failure %d: got %d, disabled %t", i+1, n, disabled)
				}
				return err
			})
		}
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error {
			_, _, err := s.CountPhoneFailure(ctx, f.ID, 30, noon)
			return err
		})
		same(t, must(s.Phone(ctx, f.ID))(t).DisabledAt, noon)
		write(t, s, func(ctx context.Context) error { return s.EnablePhone(ctx, f.ID) })
		got := must(s.Phone(ctx, f.ID))(t)
		if !got.DisabledAt.IsZero() || got.Failures != 0 {
			t.Errorf("not enabled: %+v", got)
		}
	})
	t.Run("failures in parallel count to exactly the limit, and one of them disables", func(t *testing.T) {
		f := phoneRecord(seedPerson(t, s).ID)
		f.Failures = 0
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		disabling := race(t, 24, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			_, disabled, err := s.CountPhoneFailure(ctx, f.ID, 10, noon)
			if err != nil { // disabled by another
				return false, nil
			}
			return disabled, nil
		})
		if got := must(s.Phone(ctx, f.ID))(t); got.Failures != 11 || disabling != 1 {
			t.Errorf("%d failures, %d disabled it; want 11 and 1", got.Failures, disabling)
		}
	})
	t.Run("a use clears the failures", func(t *testing.T) {
		f := seedPhone(t, s, seedPerson(t, s).ID)
		write(t, s, func(ctx context.Context) error { return s.ClearPhoneFailures(ctx, f.ID, noon.Add(time.Hour)) })
		f.Failures, f.LastUsedAt = 0, noon.Add(time.Hour)
		same(t, must(s.Phone(ctx, f.ID))(t), f)
	})
	t.Run("an identity is bound once, until it is forgotten", func(t *testing.T) {
		f := phoneRecord(seedPerson(t, s).ID)
		f.Identity = nil
		write(t, s, func(ctx context.Context) error { return s.PutPhone(ctx, f) })
		bind := func(id string, identity []byte) (bound bool) {
			write(t, s, func(ctx context.Context) (err error) {
				bound, err = s.BindIdentity(ctx, id, identity)
				return err
			})
			return bound
		}
		same(t, []bool{bind(f.ID, nil), bind("none", []byte{1})}, []bool{false, false})
		same(t, race(t, 8, db.two(t), func(ctx context.Context, s storage.Store) (bool, error) {
			return s.BindIdentity(ctx, f.ID, []byte{0, 0xff})
		}), 1)
		f.Identity = []byte{0, 0xff}
		same(t, must(s.Phone(ctx, f.ID))(t), f)
		same(t, bind(f.ID, []byte{2}), false)
		for _, at := range []time.Time{noon, noon.Add(time.Hour)} { // the first time stays
			write(t, s, func(ctx context.Context) error { return s.BarPhone(ctx, f.ID, at) })
			same(t, must(s.PhoneOf(ctx, f.PersonID))(t).BarredAt, noon)
		}
		write(t, s, func(ctx context.Context) error { return s.ForgetIdentity(ctx, f.ID) })
		same(t, must(s.PhoneOf(ctx, f.PersonID))(t).Identity, []byte(nil))
		same(t, must(s.PhoneOf(ctx, f.PersonID))(t).BarredAt, time.Time{})
		same(t, bind(f.ID, []byte{2}), true)
		refused(t, s, storage.ErrNotFound, func(ctx context.Context) error { return s.ForgetIdentity(ctx, "none") })
	})
	t.Run("a number without WhatsApp is remembered for everyone who has it", func(t *testing.T) {
		f, g := phoneRecord(seedPerson(t, s).ID), phoneRecord(seedPerson(t, s).ID)
		f.Hash, g.Hash = "shared", "shared"
		until := noon.Add(24 * time.Hour)
		write(t, s, func(ctx context.Context) error {
			if err := s.PutPhone(ctx, f); err != nil {
				return err
			}
			if err := s.PutPhone(ctx, g); err != nil {
				return err
			}
			return s.NoteNoWhatsApp(ctx, "shared", until)
		})
		same(t, []time.Time{must(s.Phone(ctx, f.ID))(t).NoWhatsAppUntil, must(s.Phone(ctx, g.ID))(t).NoWhatsAppUntil},
			[]time.Time{until, until})
	})
}

package password

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/parola-id/parola/internal/clock"
	"github.com/parola-id/parola/internal/secret"
	"github.com/parola-id/parola/storage"
)

func newHasher(t *testing.T, c Config) *Hasher {
	t.Helper()
	if c.Keys == nil {
		c.Keys = testKeys(t, "a")
	}
	c.Clock = clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	return New(c)
}

func testKeys(t testing.TB, roots ...string) *secret.Keys {
	t.Helper()
	var bytes [][]byte
	for _, r := range roots {
		bytes = append(bytes, []byte(strings.Repeat(r, secret.RootSize)))
	}
	keys, err := secret.New(bytes[0], bytes[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func hashed(t *testing.T, h *Hasher, pw string) storage.PasswordFactor {
	t.Helper()
	f, err := h.Hash(t.Context(), "ada", pw)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func check(t *testing.T, h *Hasher, f storage.PasswordFactor, typed string) Result {
	t.Helper()
	r, err := h.Check(t.Context(), f, typed, false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPW03_NormalisedToNFCAndNothingElse(t *testing.T) {
	h := newHasher(t, Config{})
	f := hashed(t, h, "Stra\u00dfe caf\u00e9 ")
	for typed, want := range map[string]bool{
		"Stra\u00dfe cafe\u0301 ": true,  // decomposed accent, as some keyboards send it
		"Stra\u00dfe caf\u00e9":   false, // no trimming
		"stra\u00dfe caf\u00e9 ":  false, // no case change
		"Strasse caf\u00e9 ":      false, // NFC, not NFKC or folding
	} {
		if got := check(t, h, f, typed).OK; got != want {
			t.Errorf("Check(%q) = %v, want %v", typed, got, want)
		}
	}
	if f.Normalization != 1 {
		t.Errorf("normalisation version %d is stored, want 1", f.Normalization)
	}
}

func TestPW08_ParametersAreTheOWASPMinimumAndBounded(t *testing.T) {
	h := newHasher(t, Config{})
	phc, err := h.unsealed(hashed(t, h, "correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash begins %.32s", phc)
	}
	b64 := base64.RawStdEncoding.EncodeToString
	tail := "$" + b64(make([]byte, 16)) + "$" + b64(make([]byte, 32))
	for _, bad := range []string{
		"$argon2id$v=19$m=4194304,t=2,p=1" + tail, "$argon2id$v=19$m=19456,t=1000,p=1" + tail,
		"$argon2id$v=19$m=19456,t=0,p=1" + tail, "$argon2id$v=19$m=19456,t=2,p=255" + tail,
		"$argon2id$v=16$m=19456,t=2,p=1" + tail, "$argon2id$v=19$m=1,t=1,p=1" + tail,
		"$argon2id$v=19$m=19456,t=2,p=1,x=1" + tail, "$argon2id$v=19$m=19456,m=1,t=2,p=1" + tail,
		"$scrypt$ln=31,r=8,p=1" + tail, "$scrypt$ln=15,r=1000,p=1" + tail, "$pbkdf2-sha256$i=2000000000" + tail,
		"$pbkdf2-md5$i=1000" + tail, "$2b$31$" + strings.Repeat("a", 53), "plain", "", "$", "$$$$",
		"$argon2id$v=19$m=19456,t=2,p=1$$",
	} {
		if _, err := h.Import("ada", bad); err == nil {
			t.Errorf("Import(%.40q) was taken", bad)
		}
	}
}

func TestPW09_CopiedDatabaseAloneCannotBeSearched(t *testing.T) {
	h := newHasher(t, Config{})
	f := hashed(t, h, "correct horse battery")
	if strings.Contains(f.Hash, "argon2") {
		t.Errorf("the stored hash %.20s… is in clear", f.Hash)
	}
	other := newHasher(t, Config{Keys: testKeys(t, "b")})
	if _, err := other.Check(t.Context(), f, "correct horse battery", false); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("with another root: %v, want ErrUnknownKey", err)
	}
	moved := f
	moved.PersonID = "mallory"
	if _, err := h.Check(t.Context(), moved, "correct horse battery", false); err == nil {
		t.Error("a hash moved to another person was accepted")
	}
}

func TestPW10_OldParametersKeyAndNormalisationAreRewritten(t *testing.T) {
	bc, err := bcrypt.GenerateFromPassword([]byte("correct horse battery"), 4)
	if err != nil {
		t.Fatal(err)
	}
	h := newHasher(t, Config{})
	imported, err := h.Import("ada", string(bc))
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, h, imported, "correct horse battery")
	if !r.OK || r.Rehash == nil {
		t.Fatalf("imported bcrypt: %+v, want OK with a rehash", r)
	}
	if again := check(t, h, *r.Rehash, "correct horse battery"); !again.OK || again.Rehash != nil {
		t.Errorf("after the rehash: %+v, want OK and current", again)
	}
	rotated := newHasher(t, Config{Keys: testKeys(t, "b", "a")})
	r = check(t, rotated, *r.Rehash, "correct horse battery")
	if !r.OK || r.Rehash == nil || r.Rehash.KeyID != rotated.keys.ID() {
		t.Errorf("after rotating the key: %+v, want a record under the new key", r)
	}
	if r := check(t, h, imported, "wrong"); r.OK || r.Rehash != nil {
		t.Errorf("wrong password on an old record: %+v", r)
	}
}

func TestPW10_ImportedKindsLogIn(t *testing.T) {
	// Values of the published test vectors for each function, in PHC form.
	bc, err := bcrypt.GenerateFromPassword([]byte("password"), 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string]string{
		"scrypt, RFC 7914 section 12":     "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA",
		"PBKDF2-SHA1, RFC 6070 no. 3":     "$pbkdf2-sha1$i=4096$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE",
		"PBKDF2-SHA256, older form, dots": "$pbkdf2-sha256$1$c2FsdA$Eg.2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs",
		"PBKDF2-SHA256, padded":           "$pbkdf2-sha256$i=1$c2FsdA==$Eg+2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs=",
		"bcrypt":                          string(bc),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHasher(t, Config{})
			f, err := h.Import("ada", hash)
			if err != nil {
				t.Fatal(err)
			}
			if !check(t, h, f, "password").OK {
				t.Error("the right password was refused")
			}
			if check(t, h, f, "passwordx").OK {
				t.Error("a wrong password was taken")
			}
		})
	}
}

func TestPW12_EveryPathRunsExactlyOneHash(t *testing.T) {
	h := newHasher(t, Config{})
	f := hashed(t, h, "correct horse battery")
	var runs int
	h.ran = func() { runs++ }
	for name, c := range map[string]struct {
		factor storage.PasswordFactor
		typed  string
	}{
		"right":              {f, "correct horse battery"},
		"wrong":              {f, "wrong"},
		"unknown person":     {storage.PasswordFactor{}, "anything"},
		"empty":              {f, ""},
		"longer than stored": {f, strings.Repeat("x", 5000)},
	} {
		runs = 0
		r := check(t, h, c.factor, c.typed)
		if runs != 1 {
			t.Errorf("%s: %d hashes, want 1", name, runs)
		}
		if r.OK != (name == "right") {
			t.Errorf("%s: OK = %v", name, r.OK)
		}
	}
}

func TestDOS01_GateBoundsHashesAndRefusesBeyondItsQueue(t *testing.T) {
	h := newHasher(t, Config{Memory: 1, Queue: 4})
	var at, most atomic.Int64
	h.ran = func() {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(2 * time.Millisecond)
		at.Add(-1)
	}
	var busy, done atomic.Int64
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			_, err := h.Check(context.Background(), storage.PasswordFactor{}, "x", false)
			var full *BusyError
			switch {
			case errors.As(err, &full) && full.RetryAfter > 0:
				busy.Add(1)
			case err == nil:
				done.Add(1)
			default:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || busy.Load() == 0 || done.Load() == 0 {
		t.Errorf("at once %d, busy %d, done %d; want one at a time and both others above zero", most.Load(), busy.Load(), done.Load())
	}
	leave, err := h.gate.enter(t.Context(), 1, true)
	if err != nil {
		t.Fatalf("after the storm the gate is not free: %v", err)
	}
	want := Load{Slots: 1, Running: 1, Queue: 4, Refused: busy.Load()}
	if got := h.Load(); got != want {
		t.Errorf("the gate tells %+v, want %+v", got, want)
	}
	leave()
	want.Running = 0
	if got := h.Load(); got != want {
		t.Errorf("once it is left the gate tells %+v, want %+v", got, want)
	}
}

func TestDOS02_StrangersLeavePartOfTheQueueToKnownBrowsers(t *testing.T) {
	g := newGate(1, 4, nil)
	leave, err := g.enter(t.Context(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	g.waiting.Store(3) // the strangers' share is full
	if _, err := g.enter(t.Context(), 1, false); err == nil {
		t.Error("a stranger was queued in the reserved part")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, 1, true); !errors.Is(err, context.Canceled) {
		t.Errorf("a known browser was not queued: %v", err)
	}
	leave()
}

func TestPW01_PW02_PW05_NewPasswordsAreJudged(t *testing.T) {
	j := NewJudge()
	p := Policy{MinLength: 10, Words: []string{"ada.lovelace", "parola demo"}}
	for password, want := range map[string]string{
		"correct horse battery":      "",
		"1234567890":                 "list of common",
		"QWERTYUIOP":                 "list of common",
		"ada.lovelace":               "user name",
		"Parola Demo":                "user name",
		"ada.lovelace1":              "", // whole values only, not substrings
		"short":                      "at least 10",
		strings.Repeat("ü", 10):      "", // counted in code points
		strings.Repeat("é", 9):       "at least 10",
		strings.Repeat("e\u0301", 9): "at least 10", // after normalisation
		strings.Repeat("x1 ", 85):    "",
		strings.Repeat("x1 ", 90):    "at most 256",
		"\xff\xfe0123456789":         "UTF-8",
	} {
		err := j.Acceptable(password, p)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("Acceptable(%.20q) = %v, want %q", password, err, want)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$scrypt$ln=10,r=8,p=4$TmFDbA$AAAA")
	f.Add("$pbkdf2-sha256$1$c2FsdA$AAAA")
	f.Add("$2b$04$abc")
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := parse(s); err == nil && e.kib > maxMemoryKiB {
			t.Errorf("parse(%q) would take %d KiB", s, e.kib)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	h := New(Config{Keys: testKeys(b, "a"), Clock: clock.System{}})
	f, err := h.Hash(b.Context(), "ada", "correct horse battery")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if r, err := h.Check(b.Context(), f, "correct horse battery", false); err != nil || !r.OK {
			b.Fatal(r, err)
		}
	}
}

// TestDOS01_GarbageOfHashesIsCollectedBetweenThem holds the memory of hashing to what the gate counts: nobody gets a slot while
// three hashes' garbage is about.
func TestDOS01_GarbageOfHashesIsCollectedBetweenThem(t *testing.T) {
	var g *gate
	collected := 0
	g = newGate(1, 4, func() {
		collected++
		if g.slots.TryAcquire(1) {
			t.Error("a slot is free while garbage is collected")
		}
	})
	for i, want := range []int{0, 0, 1, 1, 1, 2} {
		leave, err := g.enter(t.Context(), 1, false)
		if err != nil {
			t.Fatal(err)
		}
		leave()
		if collected != want {
			t.Errorf("collected %d times after %d hashes, want %d", collected, i+1, want)
		}
	}
}

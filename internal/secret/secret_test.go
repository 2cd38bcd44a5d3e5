package secret

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func root(c string) []byte { return []byte(strings.Repeat(c, RootSize)) }

func mustKeys(t testing.TB, current []byte, previous ...[]byte) *Keys {
	t.Helper()
	k, err := New(current, previous...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKEY02_NoTwoPurposesShareAKey(t *testing.T) {
	k := mustKeys(t, root("a"))
	seen := make(map[string]Purpose)
	for _, p := range []Purpose{Passcode, AuthCode, TokenHash, ClientHash, Password, PhoneLookup, PhoneSeal, ClaimSeal, KeySeal, MessageHash,
		Forms, Browser, Names, Audit, IdentitySeal, Callback, AuditKeys} {
		key := string(k.Bytes(p))
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s share a key", p, other)
		}
		seen[key] = p
		if len(key) != 32 {
			t.Errorf("key of %s has %d bytes", p, len(key))
		}
	}
}

func TestKEY07_ShortRootIsRefused(t *testing.T) {
	if _, err := New(make([]byte, RootSize-1)); err == nil {
		t.Error("a short current root was taken")
	}
	if _, err := New(root("a"), []byte("short")); err == nil {
		t.Error("a short previous root was taken")
	}
}

func TestKEY06_TwoGenerationsAreReadable(t *testing.T) {
	before := mustKeys(t, root("a"))
	sealed := before.Seal(PhoneSeal, "ctx", []byte("secret"))
	hash := before.Hash(PhoneLookup, "value")
	mac, err := before.MAC(Passcode, before.ID(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}

	during := mustKeys(t, root("b"), root("a"))
	if got, err := during.Open(PhoneSeal, "ctx", sealed); err != nil || string(got) != "secret" {
		t.Errorf("sealed under the previous root: %q, %v", got, err)
	}
	if hashes := during.Hashes(PhoneLookup, "value"); len(hashes) != 2 || hashes[1] != hash || hashes[0] == hash {
		t.Errorf("hashes of both generations = %v", hashes)
	}
	if got, err := during.MAC(Passcode, before.ID(), []byte("x")); err != nil || !bytes.Equal(got, mac) {
		t.Errorf("MAC under the previous root differs: %v", err)
	}
	after := mustKeys(t, root("b"))
	if _, err := after.Open(PhoneSeal, "ctx", sealed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("after the rotation: %v, want ErrUnknownKey", err)
	}
	if _, err := after.MAC(Passcode, before.ID()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("MAC after the rotation: %v, want ErrUnknownKey", err)
	}
}

func TestKEY06_NodesOnBothSidesOfAReplacementReadEachOther(t *testing.T) {
	derive := func(r Roots) *Keys {
		t.Helper()
		k, err := Derive(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before := derive(Roots{Current: root("a"), Next: root("b")})
	after := derive(Roots{Current: root("b"), Previous: root("a")})
	for _, side := range []struct {
		writes, reads *Keys
		superseded    bool
	}{{before, after, true}, {after, before, false}} {
		id := side.writes.ID()
		sealed := side.writes.Seal(PhoneSeal, "ctx", []byte("secret"))
		if got, err := side.reads.Open(PhoneSeal, "ctx", sealed); err != nil || string(got) != "secret" || SealedBy(sealed) != id {
			t.Errorf("sealed by %s (%s): %q, %v", id, SealedBy(sealed), got, err)
		}
		if by, ok := side.reads.HashedBy(TokenHash, "token", side.writes.Hash(TokenHash, "token")); !ok || by != id {
			t.Errorf("hashed by %s: %q, %v", id, by, ok)
		}
		// Only one side may write over the other.
		if side.reads.Superseded(id) != side.superseded || side.writes.Superseded(id) {
			t.Errorf("%s is superseded: %v", id, side.reads.Superseded(id))
		}
	}
	if _, ok := after.HashedBy(TokenHash, "token", before.Hash(TokenHash, "another")); ok {
		t.Error("a hash of another value was taken")
	}
	if SealedBy([]byte("v2.aaaaaaaa.x")) != "" || SealedBy(nil) != "" {
		t.Error("what is not sealed has a generation")
	}
	if _, err := Derive(Roots{Current: root("a"), Next: []byte("short")}); err == nil {
		t.Error("a short next root was taken")
	}
}

func TestKEY01_SealedValueOpensOnlyAsWhatItWas(t *testing.T) {
	k := mustKeys(t, root("a"))
	sealed := k.Seal(KeySeal, "kid-1", []byte("private"))
	if _, err := k.Open(KeySeal, "kid-2", sealed); err == nil {
		t.Error("opened in another record")
	}
	if _, err := k.Open(PhoneSeal, "kid-1", sealed); err == nil {
		t.Error("opened for another purpose")
	}
	if bytes.Equal(sealed, k.Seal(KeySeal, "kid-1", []byte("private"))) {
		t.Error("two seals of one value are equal: the nonce is not fresh")
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")
		changed := bytes.Clone(sealed)
		changed[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "with"))
		if _, err := k.Open(KeySeal, "kid-1", changed); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	})
}

func TestMACKeepsListsApart(t *testing.T) {
	k := mustKeys(t, root("a"))
	one, _ := k.MAC(Forms, k.ID(), []byte("ab"), []byte("c"))
	two, _ := k.MAC(Forms, k.ID(), []byte("a"), []byte("bc"))
	if bytes.Equal(one, two) {
		t.Error(`("ab","c") and ("a","bc") have the same MAC`)
	}
}

func FuzzOpen(f *testing.F) {
	k := mustKeys(f, root("a"))
	f.Add(k.Seal(PhoneSeal, "c", []byte("x")))
	f.Add([]byte("v1.."))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		_, _ = k.Open(PhoneSeal, "c", sealed) // must not panic
	})
}

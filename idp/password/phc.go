package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Parameters of new hashes: the OWASP minimum (PW-08).
const (
	memoryKiB = 19 << 10
	passes    = 2
	lanes     = 1
	saltSize  = 16
	hashSize  = 32
)

// Bounds on parameters read from storage or an import, so that a planted hash cannot exhaust the machine.
const (
	maxMemoryKiB  = 128 << 10
	maxPasses     = 16
	maxLanes      = 8
	maxScryptLog  = 17
	maxScryptWork = 1 << 22 // N·r·p
	maxPBKDF2     = 2_000_000
	maxBcrypt     = 14
	maxPHCLength  = 512
)

// encoded is a parsed password hash: how to compute it again, and what it must give.
type encoded struct {
	kib     int64 // memory that computing it takes
	current bool  // made with the parameters of new hashes
	matches func(password []byte) bool
}

// parse reads an argon2id, argon2i, scrypt or PBKDF2 hash as a PHC string, or a bcrypt hash.
func parse(s string) (encoded, error) {
	if len(s) > maxPHCLength {
		return encoded{}, errors.New("password hash is longer than any of a known kind")
	}
	if strings.HasPrefix(s, "$2a$") || strings.HasPrefix(s, "$2b$") || strings.HasPrefix(s, "$2y$") {
		return parseBcrypt(s)
	}
	fields := strings.Split(s, "$")
	if len(fields) < 4 || fields[0] != "" {
		return encoded{}, errors.New("password hash is neither a PHC string ($argon2id$…, $scrypt$…, $pbkdf2-sha256$…) nor bcrypt ($2b$…)")
	}
	switch kind := fields[1]; kind {
	case "argon2id", "argon2i":
		return parseArgon2(kind, fields[2:])
	case "scrypt":
		return parseScrypt(fields[2:])
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512":
		return parsePBKDF2(kind, fields[2:])
	default:
		return encoded{}, fmt.Errorf("password hash of unknown kind %q", kind)
	}
}

func parseArgon2(kind string, fields []string) (encoded, error) {
	if len(fields) != 4 || fields[0] != "v=19" {
		return encoded{}, fmt.Errorf("%s hash must have the form $%s$v=19$m=…,t=…,p=…$salt$hash", kind, kind)
	}
	p, err := params(fields[1], "m", "t", "p")
	if err != nil {
		return encoded{}, fmt.Errorf("%s hash: %w", kind, err)
	}
	m, t, l := p["m"], p["t"], p["p"]
	if m < 8*l || m > maxMemoryKiB || t < 1 || t > maxPasses || l < 1 || l > maxLanes || m*t > 4*maxMemoryKiB {
		return encoded{}, fmt.Errorf("%s hash: m=%d,t=%d,p=%d is outside what this server will compute", kind, m, t, l)
	}
	salt, want, err := saltAndHash(fields[2], fields[3])
	if err != nil {
		return encoded{}, fmt.Errorf("%s hash: %w", kind, err)
	}
	derive := argon2.IDKey
	if kind == "argon2i" {
		derive = argon2.Key
	}
	return encoded{
		kib:     m,
		current: kind == "argon2id" && m == memoryKiB && t == passes && l == lanes && len(salt) == saltSize && len(want) == hashSize,
		matches: func(pw []byte) bool {
			got := derive(pw, salt, uint32(t), uint32(m), uint8(l), uint32(len(want)))
			return subtle.ConstantTimeCompare(got, want) == 1
		},
	}, nil
}

func parseScrypt(fields []string) (encoded, error) {
	if len(fields) != 3 {
		return encoded{}, errors.New("scrypt hash must have the form $scrypt$ln=…,r=…,p=…$salt$hash")
	}
	p, err := params(fields[0], "ln", "r", "p")
	if err != nil {
		return encoded{}, fmt.Errorf("scrypt hash: %w", err)
	}
	ln, r, l := p["ln"], p["r"], p["p"]
	if ln < 1 || ln > maxScryptLog || r < 1 || r > 16 || l < 1 || l > 16 || r*l<<ln > maxScryptWork {
		return encoded{}, fmt.Errorf("scrypt hash: ln=%d,r=%d,p=%d is outside what this server will compute", ln, r, l)
	}
	kib := (int64(128) << ln) * r >> 10
	if kib > maxMemoryKiB {
		return encoded{}, fmt.Errorf("scrypt hash: needs %d KiB, this server allows %d", kib, maxMemoryKiB)
	}
	salt, want, err := saltAndHash(fields[1], fields[2])
	if err != nil {
		return encoded{}, fmt.Errorf("scrypt hash: %w", err)
	}
	return encoded{kib: kib, matches: func(pw []byte) bool {
		got, err := scrypt.Key(pw, salt, 1<<ln, int(r), int(l), len(want))
		return err == nil && subtle.ConstantTimeCompare(got, want) == 1
	}}, nil
}

func parsePBKDF2(kind string, fields []string) (encoded, error) {
	if len(fields) != 3 {
		return encoded{}, fmt.Errorf("%s hash must have the form $%s$i=…$salt$hash", kind, kind)
	}
	rounds := fields[0]
	if !strings.Contains(rounds, "=") {
		rounds = "i=" + rounds // the older form writes the bare number
	}
	p, err := params(rounds, "i")
	if err != nil {
		return encoded{}, fmt.Errorf("%s hash: %w", kind, err)
	}
	if p["i"] < 1 || p["i"] > maxPBKDF2 {
		return encoded{}, fmt.Errorf("%s hash: i=%d is outside what this server will compute", kind, p["i"])
	}
	salt, want, err := saltAndHash(fields[1], fields[2])
	if err != nil {
		return encoded{}, fmt.Errorf("%s hash: %w", kind, err)
	}
	digest := map[string]func() hash.Hash{"pbkdf2": sha1.New, "pbkdf2-sha1": sha1.New, "pbkdf2-sha256": sha256.New, "pbkdf2-sha512": sha512.New}[kind]
	return encoded{kib: 1, matches: func(pw []byte) bool {
		got, err := pbkdf2.Key(digest, string(pw), salt, int(p["i"]), len(want))
		return err == nil && subtle.ConstantTimeCompare(got, want) == 1
	}}, nil
}

func parseBcrypt(s string) (encoded, error) {
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil || len(s) != 60 {
		return encoded{}, errors.New("bcrypt hash must have 60 characters, $2b$COST$…")
	}
	if cost > maxBcrypt {
		return encoded{}, fmt.Errorf("bcrypt hash: cost %d is outside what this server will compute (at most %d)", cost, maxBcrypt)
	}
	return encoded{kib: 4, matches: func(pw []byte) bool {
		// What made the hash looked at 72 bytes at most; a longer password must go on working until it is rehashed.
		return bcrypt.CompareHashAndPassword([]byte(s), pw[:min(len(pw), 72)]) == nil
	}}, nil
}

func params(s string, names ...string) (map[string]int64, error) {
	got := make(map[string]int64, len(names))
	for _, pair := range strings.Split(s, ",") {
		name, value, found := strings.Cut(pair, "=")
		n, err := strconv.ParseInt(value, 10, 32)
		if !found || err != nil {
			return nil, fmt.Errorf("parameter %q is not NAME=NUMBER", pair)
		}
		if _, twice := got[name]; twice {
			return nil, fmt.Errorf("parameter %s stands twice", name)
		}
		got[name] = n
	}
	for _, name := range names {
		if _, ok := got[name]; !ok {
			return nil, fmt.Errorf("parameter %s is missing", name)
		}
	}
	if len(got) != len(names) {
		return nil, fmt.Errorf("parameters %q are not just %s", s, strings.Join(names, ","))
	}
	return got, nil
}

func saltAndHash(salt, sum string) (saltBytes, sumBytes []byte, err error) {
	if saltBytes, err = decode64(salt); err != nil || len(saltBytes) < 4 || len(saltBytes) > 64 {
		return nil, nil, errors.New("the salt is not 4 to 64 bytes of base64")
	}
	if sumBytes, err = decode64(sum); err != nil || len(sumBytes) < 16 || len(sumBytes) > 64 {
		return nil, nil, errors.New("the hash is not 16 to 64 bytes of base64")
	}
	return saltBytes, sumBytes, nil
}

// decode64 reads standard base64 without padding, as PHC writes it, and takes padding and the variant in which "."
// stands for "+" as well.
func decode64(s string) ([]byte, error) {
	return base64.RawStdEncoding.Strict().DecodeString(strings.ReplaceAll(strings.TrimRight(s, "="), ".", "+"))
}

func encode(salt, sum []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memoryKiB, passes, lanes, b64(salt), b64(sum))
}

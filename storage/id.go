package storage

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns a random identifier of 128 bits: 26 lower-case characters of Crockford's base32.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return idEncoding.EncodeToString(b[:])
}

// NewTimeID returns an identifier that sorts by t to the millisecond and carries 80 random bits. Records that come by the
// thousand and are in many indexes have such ones: what is new together stays together, in few pages. It is a name and
// proves nothing, as every id here.
func NewTimeID(t time.Time) string {
	b := timeID(t)
	return idEncoding.EncodeToString(b[:])
}

// NewOrderedID is NewTimeID with 64 random bits: those of one millisecond sort by n.
func NewOrderedID(t time.Time, n uint16) string {
	b := timeID(t)
	binary.BigEndian.PutUint16(b[6:8], n)
	return idEncoding.EncodeToString(b[:])
}

// FirstID is before every identifier that NewTimeID and NewOrderedID make of t or a later time, and after those of earlier
// milliseconds.
func FirstID(t time.Time) string {
	b := timeID(t)
	clear(b[6:])
	return idEncoding.EncodeToString(b[:])
}

func timeID(t time.Time) (b [16]byte) {
	rand.Read(b[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(b[:6], ms[2:])
	return b
}

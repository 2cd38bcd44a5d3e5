package storagetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/parola-id/parola/storage"
	"github.com/parola-id/parola/storage/internal/sqlstore"
)

// RunDump carries everything from one database to another, and tries files that must not be loaded. exec runs a statement
// on the first database behind the store's back.
func RunDump(t *testing.T, from *sqlstore.Store, exec func(t testing.TB, statement string, args ...any), fresh func(t testing.TB) *sqlstore.Store) {
	ctx := context.Background()
	for _, w := range append(slices.Clone(secondRelease), since...) {
		exec(t, w.insert("1"))
	}
	exec(t, `INSERT INTO checkpoints (sequence, head, at, key_id, signature) VALUES (1, $1, 1000, 'k', $2)`, []byte{1}, []byte{0, 0xff})
	seedPhone(t, from, seedPerson(t, from).ID) // bytes, and text that JSON escapes
	exec(t, `UPDATE persons SET username = $1 WHERE id = 'p1'`, "a\"d\\a <&> \u2028 📱\n")
	exec(t, `UPDATE installation SET value = 7 WHERE name = 'epoch'`)

	// What is committed while the dump is written is not in it: neither the row nor a change to one that comes later.
	for range 100 {
		p := personRecord()
		p.Claims = []byte(rand.Text() + strings.Repeat(storage.NewID(), 100))
		write(t, from, func(ctx context.Context) error { return from.InsertPerson(ctx, p) })
	}
	file := watched{first: func() {
		exec(t, `INSERT INTO cursors (name, position) VALUES ('while it is written', 1)`)
		exec(t, `UPDATE cursors SET position = 99 WHERE name = 'reader 1'`)
	}}
	counts, err := from.Dump(ctx, &file, sqlstore.Origin{Release: "v9", KeyID: "k", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	if file.first != nil {
		t.Fatal("the dump was written in one piece: nothing was committed meanwhile")
	}
	for _, c := range counts {
		if c.Rows == 0 {
			t.Errorf("no rows of table %s were dumped: give secondRelease or since one", c.Table)
		}
	}

	load := func(to *sqlstore.Store, file []byte, accept func(sqlstore.Origin) error) (loaded []sqlstore.Count, err error) {
		err = to.InTx(ctx, func(ctx context.Context) error {
			loaded, err = to.Load(ctx, bytes.NewReader(file), accept)
			return err
		})
		return loaded, err
	}
	anything := func(sqlstore.Origin) error { return nil }
	to := fresh(t)
	for name, bad := range damaged(t, file.Bytes()) {
		if _, err := load(to, bad, anything); !errors.Is(err, sqlstore.ErrDump) {
			t.Errorf("a file that %s: got %v, want ErrDump", name, err)
		}
	}
	refusal := errors.New("another root secret")
	if _, err := load(to, file.Bytes(), func(o sqlstore.Origin) error {
		same(t, o, sqlstore.Origin{Format: 1, Schema: o.Schema, Database: o.Database, Release: "v9", KeyID: "k", At: noon})
		return refusal
	}); !errors.Is(err, refusal) {
		t.Errorf("got %v, want the caller's refusal", err)
	}

	// After all those refusals the database is still empty, and takes the right one.
	loaded, err := load(to, file.Bytes(), anything)
	if err != nil {
		t.Fatal(err)
	}
	same(t, loaded, counts)
	var again bytes.Buffer
	back, err := to.Dump(ctx, &again, sqlstore.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, back, counts)
	same(t, must(to.Phone(ctx, "f1"))(t), must(from.Phone(ctx, "f1"))(t))
	same(t, must(to.Cursor(ctx, "reader 1"))(t), int64(3))
	same(t, must(to.Cursor(ctx, "while it is written"))(t), int64(0))
	if _, err := load(to, file.Bytes(), anything); !errors.Is(err, sqlstore.ErrDump) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("loaded twice: %v", err)
	}
}

// watched is a buffer that calls first before the first bytes are in it.
type watched struct {
	bytes.Buffer
	first func()
}

func (w *watched) Write(b []byte) (int, error) {
	if f := w.first; f != nil {
		w.first = nil
		f()
	}
	return w.Buffer.Write(b)
}

// damaged are files that are wrong in one way each.
func damaged(t testing.TB, file []byte) map[string][]byte {
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	packed := func(text []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(text)
		w.Close()
		return b.Bytes()
	}
	changed := func(old, new string) []byte {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("nothing like %s in the dump", old)
		}
		return packed(bytes.Replace(text, []byte(old), []byte(new), 1))
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	flipped := bytes.Clone(file)
	flipped[len(flipped)-6] ^= 1 // of the checksum
	return map[string][]byte{
		"is no gzip":                      text,
		"is empty":                        packed(nil),
		"is something else":               packed([]byte("{\"a\":1}\n")),
		"has another form":                changed(`"parola_dump":1`, `"parola_dump":2`),
		"has another schema":              changed(`"schema":`, `"schema":9`),
		"is cut off between lines":        packed(bytes.Join(lines[:len(lines)-2], nil)),
		"is cut off in a line":            packed(text[:len(text)/2]),
		"is cut off when compressed":      file[:len(file)/2],
		"has a wrong checksum":            flipped,
		"goes on after its end":           packed(append(bytes.Clone(text), "[]\n"...)),
		"lacks a row":                     packed(bytes.Replace(text, bytes.SplitAfter(text[bytes.Index(text, []byte(`["f1"`)):], []byte("\n"))[0], nil, 1)),
		"has a changed value":             changed(`"ua"`, `"uA"`),
		"has a column of its own":         changed(`"columns":["id","username"`, `"columns":["id","username) SELECT 1; --"`),
		"has a table in another place":    changed(`"table":"persons"`, `"table":"sessions"`),
		"has a value of no kind":          changed(`["b1",60000000,`, `["b1",6.5,`),
		"has too few values":              changed(`["b1",60000000,`, `["b1",`),
		"has bytes that are not":          changed(`{"b":"`, `{"b":"!`),
		"has a number that is too large":  changed(`["b1",60000000,`, `["b1",60000000000000000000,`),
		"counts other rows than it holds": changed(`"rows":`, `"rows":1`),
	}
}

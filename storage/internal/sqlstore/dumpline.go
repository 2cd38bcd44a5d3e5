package sqlstore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// mostLine bounds a line of a dump; the longest rows are clients with their keys.
const mostLine = 16 << 20

// rowLine is a row as a line of JSON: an array of null, whole numbers, booleans, strings, and bytes as {"b": BASE64}. The
// same row gives the same line on both databases.
func rowLine(values []any) ([]byte, error) {
	cells := make([]any, len(values))
	for i, value := range values {
		switch v := value.(type) {
		case nil, int64, bool, string:
			cells[i] = v
		case []byte:
			cells[i] = map[string]string{"b": base64.StdEncoding.EncodeToString(v)}
		default:
			return nil, fmt.Errorf("column %d holds a %T", i+1, value)
		}
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	err := e.Encode(cells) // with the line feed
	return line.Bytes(), err
}

// valuesOf is rowLine read back.
func valuesOf(line []byte, columns int) ([]any, error) {
	var cells []any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&cells); err != nil {
		return nil, err
	}
	if len(cells) != columns {
		return nil, fmt.Errorf("a row has %d values, and the table %d columns", len(cells), columns)
	}
	for i, cell := range cells {
		switch v := cell.(type) {
		case nil, bool, string:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, fmt.Errorf("value %d is no whole number", i+1)
			}
			cells[i] = n
		case map[string]any:
			text, is := v["b"].(string)
			b, err := base64.StdEncoding.DecodeString(text)
			if !is || err != nil || len(v) != 1 {
				return nil, fmt.Errorf("value %d is not bytes in base64", i+1)
			}
			cells[i] = b
		default:
			return nil, fmt.Errorf("value %d is of no kind that a column has", i+1)
		}
	}
	return cells, nil
}

func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// readLine returns the next line with its line feed.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > mostLine:
			return nil, fmt.Errorf("a line is longer than %d bytes", mostLine)
		}
	}
}

// digest counts lines and adds up their hashes modulo 2^256, least word first.
type digest struct {
	rows int64
	sum  [4]uint64
}

func (d *digest) add(line []byte) {
	hash := sha256.Sum256(line)
	var carry uint64
	for i := range d.sum {
		word := binary.BigEndian.Uint64(hash[24-8*i:])
		d.sum[i], carry = bits.Add64(d.sum[i], word, carry)
	}
	d.rows++
}

func (d *digest) count(table string) Count {
	var b [sha256.Size]byte
	for i, word := range d.sum {
		binary.BigEndian.PutUint64(b[24-8*i:], word)
	}
	return Count{Table: table, Rows: d.rows, Digest: hex.EncodeToString(b[:])}
}

package sqlstore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// ms is a time as stored: milliseconds since 1970, NULL for the zero time.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// timeOf scans what ms stored.
func timeOf(t *time.Time) sql.Scanner { return timeScanner{t} }

type timeScanner struct{ t *time.Time }

func (s timeScanner) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*s.t = time.Time{}
	case int64:
		*s.t = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", value)
	}
	return nil
}

// blob is bytes as stored: NULL for none.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// milli brings a time inside a JSON record to the precision and zone of every other.
func milli(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// jsonText encodes a record that is made of plain fields, so that encoding cannot fail.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sqlstore: encode %T: %v", v, err))
	}
	return string(b)
}

// jsonOf scans what jsonText stored.
func jsonOf(v any) sql.Scanner { return jsonScanner{v} }

type jsonScanner struct{ v any }

func (s jsonScanner) Scan(value any) error {
	var text []byte
	switch v := value.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return fmt.Errorf("a record is stored as %T", value)
	}
	if err := json.Unmarshal(text, s.v); err != nil {
		return fmt.Errorf("decode stored %T: %w", s.v, err)
	}
	return nil
}

// words is a list as stored; nil and empty are the same.
func words(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	return jsonText(list)
}

// wordsOf scans what words stored; an empty list is nil.
func wordsOf(list *[]string) sql.Scanner { return wordsScanner{list} }

type wordsScanner struct{ list *[]string }

func (s wordsScanner) Scan(value any) error {
	*s.list = nil
	if text, ok := value.(string); ok && text == "[]" {
		return nil
	}
	return jsonScanner{s.list}.Scan(value)
}

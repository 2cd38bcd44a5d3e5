package sqlstore

import "testing"

func TestRowsAreEncoded(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"none":                    {rowsText(nil), `[]`},
		"every kind":              {rowsText([]cells{{"a", int64(1) << 60, true, nil}}), `[["a",1152921504606846976,true,null]]`},
		"bytes as hexadecimal":    {rowsText([]cells{{[]byte{0, 0xff}, []byte(nil), []byte{}}}), `[["00ff",null,null]]`},
		"text that is not stored": {rowsText([]cells{{"nul\x00byte", "\xff"}}), "[[\"nul\uFFFDbyte\",\"\uFFFD\"]]"},
		"a list":                  {listText([]string{"x", `"]`}), `[["x"],["\"]"]]`},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", name, c.got, c.want)
		}
	}
}

func TestRowsAreNamed(t *testing.T) {
	d := Dialect{Elements: "json_each", Unhex: "unhex(%s)", Among: "IN (%s)"}
	want := `SELECT value ->> 0 AS key, CAST(value ->> 1 AS BIGINT) AS due, unhex(value ->> 2) AS hash FROM ` +
		`(WITH elements AS MATERIALIZED (SELECT value FROM json_each($2)) SELECT value FROM elements) AS every_element`
	if got := d.given("$2", "key", "due BIGINT", "hash BYTEA"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := d.among("id", "$1"), "id IN (SELECT value ->> 0 AS key FROM json_each($1))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

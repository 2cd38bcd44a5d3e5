package sqlstore

import (
	"testing"
)

func TestVerb(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1":                      "select",
		"\n\t\tUPDATE x SET y = 1":      "update",
		"INSERT INTO x VALUES ($1)":     "insert",
		"WITH a AS (SELECT 1) SELECT 2": "select",
		"WITH due AS MATERIALIZED (\n SELECT id FROM x LIMIT $3 FOR UPDATE SKIP LOCKED)\n\t\tDELETE FROM x": "delete",
		"WITH due AS (SELECT id FROM x FOR UPDATE)\n\t\tUPDATE x SET y = (SELECT 1)":                        "update",
	} {
		if got := verb(query); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
}

func TestParametersAreNumbered(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{placeholders(1, 3), "($1,$2,$3)"},
		{placeholders(2, 2), "($1,$2),($3,$4)"},
		{list(0, 1), "($1)"},
		{list(2, 3), "($3,$4,$5)"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestLimitsAreBounded(t *testing.T) {
	for _, c := range []struct{ limit, want int }{{0, 100}, {-1, 1}, {1, 1}, {1000, 1000}, {1001, 1000}} {
		if got := bounded(c.limit, 100, 1000); got != c.want {
			t.Errorf("%d: got %d, want %d", c.limit, got, c.want)
		}
	}
}

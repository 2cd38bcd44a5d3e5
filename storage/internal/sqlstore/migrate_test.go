package sqlstore

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

var takesAway = regexp.MustCompile(`(?i)\b(DROP\s+(TABLE|COLUMN)|RENAME|ALTER\s+COLUMN|DELETE\s+FROM)\b`)

// TestREL10_AMigrationThatTakesAwaySaysWhomItStillServes keeps a release that needs what is gone from starting. The first
// two schemas are those of releases that do not ask.
func TestREL10_AMigrationThatTakesAwaySaysWhomItStillServes(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files[2:] {
		text, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		if takesAway.MatchString(up) && !strings.Contains(up, "serves_from") {
			t.Errorf("%s takes something away and does not raise installation.serves_from", path.Base(file))
		}
	}
	for statement, want := range map[string]bool{
		"ALTER TABLE a DROP COLUMN b": true, "DROP TABLE a": true, "ALTER TABLE a RENAME TO b": true,
		"DROP INDEX a": false, "ALTER TABLE a ADD COLUMN b TEXT NOT NULL DEFAULT ''": false,
	} {
		if takesAway.MatchString(statement) != want {
			t.Errorf("%s: taken for the other kind", statement)
		}
	}
}

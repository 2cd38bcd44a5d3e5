package parola_test

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const requirementsFile = "docs/security-requirements.md"

var updateRequirements = flag.Bool("update", false, "rewrite the marks and Appendix C of "+requirementsFile)

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	// citation is one number at the front of a test's name: OA24_ in TestOA24_CodeReplayRevokesTokens.
	citation = regexp.MustCompile(`^([A-Z]{1,3})([0-9]{1,2})(?:_|$)`)

	requirementLine = regexp.MustCompile(`(?m)^\* \*\*([A-Z]+-[0-9]+)\*\* \[([MSF]\|[HUPD])(?:\|([^\]]*))?\]`)
	appendixRow     = regexp.MustCompile(`(?m)^\| (A[0-9]+)( ●)? \|(.*)\| ([^|]*) \|$`)
	testIndex       = regexp.MustCompile(`(?s)(<!-- tests -->\n).*(<!-- /tests -->\n)`)
	// elsewhere is a row of the table of tests that hold a requirement and do not bear its number.
	elsewhere = regexp.MustCompile("(?m)^\\| ([A-Z]+-[0-9]+) \\| [^|`]+ \\| (.*) \\|$")
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)\\w+)` \\(([^)]+)\\)")
)

// cited is a requirement's tests, each with the package it lives in.
type cited map[string][]string

func TestEveryNumberInATestNameIsADocumentedRequirement(t *testing.T) {
	document := readRequirements(t)
	known := make(map[string]bool)
	for _, m := range requirementLine.FindAllStringSubmatch(document, -1) {
		known[m[1]] = true
	}
	for _, m := range appendixRow.FindAllStringSubmatch(document, -1) {
		known[m[1]] = true
	}
	if len(known) < 200 {
		t.Fatalf("found only %d numbers in %s: has its form changed?", len(known), requirementsFile)
	}
	all := testFunctions(t)
	tests := citedRequirements(all, families(known))
	for _, number := range slices.Sorted(maps.Keys(tests)) {
		if !known[number] {
			t.Errorf("%s cites %s, which %s does not have", tests[number], number, requirementsFile)
		}
	}
	held := heldElsewhere(t, document, all)
	for number := range held {
		if !known[number] {
			t.Errorf("%s names tests of %s, which it does not have", requirementsFile, number)
		}
	}
	if *updateRequirements {
		if err := os.WriteFile(requirementsFile, []byte(marked(document, tests, held)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// The document may lag behind the tests, but it never claims one that is gone.
	for _, m := range requirementLine.FindAllStringSubmatch(document, -1) {
		if strings.HasPrefix(m[3], "✓") && len(tests[m[1]]) == 0 && !held[m[1]] {
			t.Errorf("%s says that a test holds %s, but none does: run go test -run Documented -update .", requirementsFile, m[1])
		}
	}
	for _, m := range appendixRow.FindAllStringSubmatch(document, -1) {
		if m[4] == "✓" && len(tests[m[1]]) == 0 {
			t.Errorf("%s says that a test bears %s, but none does: run go test -run Documented -update .", requirementsFile, m[1])
		}
	}
}

func readRequirements(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(requirementsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// families are the letters that make a test's name a citation; others (ES256, RFC9728) are names of other things.
func families(known map[string]bool) map[string]bool {
	letters := make(map[string]bool)
	for number := range known {
		letters[strings.TrimRight(number, "-0123456789")] = true
	}
	return letters
}

// testFunctions are the tests and fuzz targets of the repository, each with the package it lives in.
func testFunctions(t *testing.T) (all [][2]string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			if d != nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testFunction.FindAllStringSubmatch(string(source), -1) {
			all = append(all, [2]string{m[1], filepath.ToSlash(filepath.Dir(path))})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func citedRequirements(all [][2]string, families map[string]bool) cited {
	found := make(cited)
	for _, test := range all {
		for _, number := range numbers(test[0], families) {
			found[number] = append(found[number], fmt.Sprintf("`%s` (%s)", test[0], test[1]))
		}
	}
	for _, tests := range found {
		slices.Sort(tests)
	}
	return found
}

// heldElsewhere are the requirements that the document says are held by tests under other names; those must exist.
func heldElsewhere(t *testing.T, document string, all [][2]string) map[string]bool {
	t.Helper()
	held := make(map[string]bool)
	for _, row := range elsewhere.FindAllStringSubmatch(document, -1) {
		named := namedTest.FindAllStringSubmatch(row[2], -1)
		for _, test := range named {
			if !slices.Contains(all, [2]string{test[1], test[2]}) {
				t.Errorf("%s says that %s is held by %s in %s, which does not exist", requirementsFile, row[1], test[1], test[2])
			}
		}
		held[row[1]] = len(named) > 0
	}
	return held
}

// numbers returns the requirements that a test's name cites, in the document's spelling: OA24 is OA-24, A2 stays A2.
func numbers(name string, families map[string]bool) []string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, "Test"), "Fuzz")
	var all []string
	for {
		m := citation.FindStringSubmatch(rest)
		if m == nil || !families[m[1]] {
			return all
		}
		rest = rest[len(m[0]):]
		if m[1] == "A" {
			all = append(all, m[1]+m[2])
		} else {
			all = append(all, m[1]+"-"+m[2])
		}
	}
}

// marked is the document with a ✓ wherever a test bears the number or is named beside it, and the index of those tests.
func marked(document string, tests cited, held map[string]bool) string {
	document = requirementLine.ReplaceAllStringFunc(document, func(line string) string {
		m := requirementLine.FindStringSubmatch(line)
		mark := strings.TrimSpace(strings.TrimPrefix(m[3], "✓")) // part or later: by hand
		switch tested := len(tests[m[1]]) > 0 || held[m[1]]; {
		case tested && mark == "part":
			mark = "✓ part"
		case tested:
			mark = "✓"
		}
		return fmt.Sprintf("* **%s** [%s]", m[1], strings.TrimSuffix(m[2]+"|"+mark, "|"))
	})
	document = appendixRow.ReplaceAllStringFunc(document, func(row string) string {
		m := appendixRow.FindStringSubmatch(row)
		mark := m[4]
		if len(tests[m[1]]) > 0 {
			mark = "✓"
		} else if mark == "✓" {
			mark = "–"
		}
		return fmt.Sprintf("| %s%s |%s| %s |", m[1], m[2], m[3], mark)
	})
	var index strings.Builder
	index.WriteString("${1}")
	for _, number := range slices.SortedFunc(maps.Keys(tests), compareNumbers) {
		fmt.Fprintf(&index, "| %s | %s |\n", number, strings.Join(tests[number], ", "))
	}
	index.WriteString("${2}")
	return testIndex.ReplaceAllString(document, index.String())
}

// compareNumbers puts A2 before A10.
func compareNumbers(a, b string) int {
	letters := func(s string) string { return strings.TrimRight(s, "-0123456789") }
	if letters(a) != letters(b) {
		return strings.Compare(letters(a), letters(b))
	}
	digit := func(s string) int { n, _ := strconv.Atoi(strings.Trim(s, "-ABCDEFGHIJKLMNOPQRSTUVWXYZ")); return n }
	return digit(a) - digit(b)
}

func TestNumbersOfATestName(t *testing.T) {
	letters := map[string]bool{"OA": true, "PW": true, "A": true}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"TestOA24_CodeReplayRevokesTokens", []string{"OA-24"}},
		{"TestPW01_PW02_NewPasswordsAreJudged", []string{"PW-01", "PW-02"}},
		{"TestA2_PKCEBypass", []string{"A2"}},
		{"FuzzOA09", []string{"OA-09"}},
		{"TestES256_Signs", nil},
		{"TestOAuthErrors", nil},
		{"TestA11yOfPages", nil},
	} {
		if got := numbers(tt.name, letters); !slices.Equal(got, tt.want) {
			t.Errorf("numbers(%s) = %v, want %v", tt.name, got, tt.want)
		}
	}
}

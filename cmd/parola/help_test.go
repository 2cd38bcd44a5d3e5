package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// leaves returns the words of every command that can be run.
func leaves(t *testing.T) [][]string {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("parola"))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]string
	for _, leaf := range parser.Model.Leaves(true) {
		var words []string
		for _, word := range strings.Fields(leaf.Path()) {
			if !strings.HasPrefix(word, "<") && !strings.HasPrefix(word, "[") {
				words = append(words, word)
			}
		}
		list = append(list, words)
	}
	return list
}

func TestEveryCommandTeachesByAnExample(t *testing.T) {
	all := leaves(t)
	if len(all) < 25 {
		t.Fatalf("only %d commands: %v", len(all), all)
	}
	for _, words := range all {
		var out, err bytes.Buffer
		code := Main{}.Run(t.Context(), append(words, "--help"), strings.NewReader(""), &out, &err)
		name := "parola " + strings.Join(words, " ")
		if code != exitDone || !strings.Contains(out.String(), "Example") || !strings.Contains(out.String(), "    "+name) {
			t.Errorf("%s --help (exit %d) has no example of itself:\n%s%s", name, code, out.String(), err.String())
		}
	}
}

// TestExamplesAreUnderstood parses each command that a help text shows, as far as a shell would hand it over.
func TestExamplesAreUnderstood(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.Name("parola"))
	if err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for _, leaf := range parser.Model.Leaves(false) {
		for line := range strings.Lines(leaf.Detail) {
			for _, command := range strings.Split(line, "|") {
				example, is := strings.CutPrefix(strings.TrimSpace(command), "parola ")
				if !is || !strings.HasPrefix(line, "    ") {
					continue
				}
				example, _, _ = strings.Cut(example, " <")
				example, _, _ = strings.Cut(example, " >")
				example, _, _ = strings.Cut(example, " #")
				if _, err := parser.Parse(splitWords(example)); err != nil {
					t.Errorf("parola %s: the help of %s shows it, but: %v", example, leaf.Path(), err)
				}
				parsed++
			}
		}
	}
	if parsed < 40 {
		t.Errorf("only %d examples", parsed)
	}
}

func TestListingsAnswerProgramsToo(t *testing.T) {
	for _, words := range leaves(t) {
		last := words[len(words)-1]
		if last != "list" && last != "show" && last != "status" {
			continue
		}
		var out bytes.Buffer
		Main{}.Run(t.Context(), append(words, "--help"), strings.NewReader(""), &out, &out)
		if !strings.Contains(out.String(), "--json") {
			t.Errorf("%v has no --json", words)
		}
	}
}

func TestPrintableKeepsATerminalSafe(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace":  "Ada Lovelace",
		"Adélaïde …":    "Adélaïde …",
		"\x1b[2J":       `\x1b[2J`,
		"a\u202eb":      `a\u202eb`,
		"line\nbreak\t": `line\nbreak\t`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestScripts runs the command line as a person types it. A script in testdata is a list of steps:
//
//	$ parola …           runs a command; it must succeed unless the next line says otherwise
//	exit N               the exit code it must have had
//	out TEXT, err TEXT   what its output must hold; no-out, no-err: must not
//	keep NAME PATTERN    takes the first group of a pattern out of its output, for ${NAME} later on
//	stdin TEXT           what the next command reads; \n is a line break
//	file NAME MODE       writes the lines that follow, up to one that says "end", into ${DIR}/NAME
//	session NAME         gives a person a session and a grant; keeps SID and GRANT
//	seal                 seals the audit log, as a server does; tamper SQL changes the database behind its back
//	handset              has the handset stand in for Meta and Twilio; ask METHOD PATH BODY calls its own API
//	serve                runs the provider until the script ends
//	count DAY …          adds messages to the ledger (see script.count)
//	env NAME VALUE       sets a variable of the environment; unset NAME removes it
//
// ${DIR} is the script's own directory; the configuration is ${DIR}/parola.yaml.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			newScript(t).run(strings.Split(string(text), "\n"))
		})
	}
}

type script struct {
	t        *testing.T
	dir      string
	vars     map[string]string
	env      map[string]string
	stdin    string
	out, err string
	code     int
	expected bool // the exit code of the last command was looked at
	command  string
}

func newScript(t *testing.T) *script {
	dir := t.TempDir()
	return &script{
		t: t, dir: dir, vars: map[string]string{"DIR": dir}, expected: true,
		env: map[string]string{
			"PAROLA_CONFIG":               filepath.Join(dir, "parola.yaml"),
			"PAROLA_DATABASE_PATH":        filepath.Join(dir, "parola.db"),
			"PAROLA_DATABASE_SYNCHRONOUS": "NORMAL",
		},
	}
}

// configured is a script whose configuration is complete.
func configured(t *testing.T) *script {
	s := newScript(t)
	s.run(completeConfig)
	return s
}

var completeConfig = []string{
	"$ parola config init",
	"env PAROLA_ISSUER http://127.0.0.1:8080",
	"env PAROLA_WHATSAPP_PHONE_NUMBER_ID 106000000000001",
	"env PAROLA_WHATSAPP_ACCESS_TOKEN AbCdEfGhIjKlMnOp1",
	"env PAROLA_WHATSAPP_APP_SECRET AbCdEfGhIjKlMnOp2",
	"env PAROLA_MFA_COUNTRIES IT,BR,DE",
}

func (s *script) run(lines []string) {
	s.t.Helper()
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(os.Expand(line, s.value), " ")
		if verb == "file" {
			i += s.file(rest, lines[i+1:])
			continue
		}
		s.step(verb, rest)
	}
	s.mustHaveSucceeded()
}

// value is what ${NAME} stands for; the rest of the dollars stay.
func (s *script) value(name string) string {
	if v, ok := s.vars[name]; ok {
		return v
	}
	return "$" + name
}

func (s *script) step(verb, rest string) {
	s.t.Helper()
	switch verb {
	case "$":
		s.mustHaveSucceeded()
		s.execute(strings.TrimSpace(strings.TrimPrefix(rest, "parola")))
	case "configured":
		s.run(completeConfig)
	case "exit":
		s.expected = true
		if fmt.Sprint(s.code) != rest {
			s.t.Fatalf("%s: exit %d, want %s\n%s%s", s.command, s.code, rest, s.out, s.err)
		}
	case "out", "err", "no-out", "no-err":
		text := map[string]string{"out": s.out, "err": s.err}[strings.TrimPrefix(verb, "no-")]
		if strings.Contains(text, rest) == strings.HasPrefix(verb, "no-") {
			s.t.Errorf("%s: %s %q\ngot: %s", s.command, verb, rest, text)
		}
	case "keep":
		name, pattern, _ := strings.Cut(rest, " ")
		found := regexp.MustCompile(pattern).FindStringSubmatch(s.out)
		if found == nil {
			s.t.Fatalf("%s: nothing like %s in:\n%s", s.command, pattern, s.out)
		}
		s.vars[name] = found[1]
	case "stdin":
		s.stdin = strings.ReplaceAll(rest, `\n`, "\n")
	case "session":
		s.vars["SID"], s.vars["GRANT"] = s.signIn(rest)
	case "handset":
		s.startHandset()
	case "ask":
		s.mustHaveSucceeded()
		s.ask(rest)
	case "serve":
		s.serve()
	case "count":
		s.count(rest)
	case "seal":
		s.seal()
	case "tamper":
		s.tamper(rest)
	case "env":
		name, value, _ := strings.Cut(rest, " ")
		s.env[name] = value
	case "unset":
		delete(s.env, rest)
	default:
		s.t.Fatalf("script: unknown step %q", verb)
	}
}

func (s *script) mustHaveSucceeded() {
	s.t.Helper()
	if !s.expected && s.code != 0 {
		s.t.Fatalf("%s: exit %d\n%s%s", s.command, s.code, s.out, s.err)
	}
}

func (s *script) execute(command string) {
	s.command, s.expected = "parola "+command, false
	var out, err bytes.Buffer
	s.code = s.main().Run(s.t.Context(), splitWords(command), strings.NewReader(s.stdin), &out, &err)
	s.out, s.err, s.stdin = out.String(), err.String(), ""
}

// main is the program in the script's environment.
func (s *script) main() Main {
	m := Main{Release: "1.2.3", LookupEnv: func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }}
	for name, value := range s.env {
		m.Environ = append(m.Environ, name+"="+value)
	}
	return m
}

// file writes a file and returns how many lines it took.
func (s *script) file(rest string, lines []string) int {
	name, mode, _ := strings.Cut(rest, " ")
	for i, line := range lines {
		if strings.TrimSpace(line) != "end" {
			continue
		}
		var perm os.FileMode = 0o600
		if _, err := fmt.Sscanf(mode, "%o", &perm); err != nil && mode != "" {
			s.t.Fatal(err)
		}
		path := filepath.Join(s.dir, name)
		content := os.Expand(strings.Join(lines[:i], "\n")+"\n", s.value)
		if err := os.WriteFile(path, []byte(content), perm); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Chmod(path, perm); err != nil { // the umask has had its say
			s.t.Fatal(err)
		}
		return i + 1
	}
	s.t.Fatalf("script: file %s has no end", name)
	return 0
}

// splitWords splits at spaces outside double quotes.
func splitWords(s string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

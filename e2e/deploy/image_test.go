package deploy

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parola-id/parola/e2e/harness"
)

const repository = "../.."

// stage is one FROM of the Dockerfile: its instructions in order, each with what follows the word.
type stage struct {
	from, name   string
	instructions []instruction
}

type instruction struct{ word, rest string }

// all are the arguments of one kind of instruction.
func (s stage) all(word string) (rests []string) {
	for _, i := range s.instructions {
		if i.word == word {
			rests = append(rests, i.rest)
		}
	}
	return rests
}

// dockerfile reads the stages. The file is ours: no instruction goes over several lines.
func dockerfile(t *testing.T) map[string]stage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	stages := make(map[string]stage)
	var s stage
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case strings.HasSuffix(rest, `\`):
			t.Fatalf("this test does not read instructions over several lines: %s", line)
		case word == "FROM":
			fields := strings.Fields(strings.TrimPrefix(rest, "--platform=$BUILDPLATFORM "))
			s = stage{from: fields[0], name: fields[2]}
			stages[s.name] = s
		default:
			s.instructions = append(s.instructions, instruction{word, rest})
			stages[s.name] = s
		}
	}
	return stages
}

// built runs the Dockerfile's build, literally but for the paths, on what .dockerignore lets through, and returns the
// directory that is /out there.
func built(t *testing.T) string {
	t.Helper()
	builds.Do(func() { images, buildErr = build(dockerfile(t)) })
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return images
}

var (
	builds   sync.Once
	images   string
	buildErr error
)

func build(stages map[string]stage) (out string, err error) {
	src, out := filepath.Join(room, "src"), filepath.Join(room, "out")
	if err := copyContext(src); err != nil {
		return "", err
	}
	for _, name := range []string{"build", "build-demo"} {
		for _, run := range stages[name].all("RUN") {
			environment := strings.Join(stages["build"].all("ENV"), " ")
			script := fmt.Sprintf("cd %q && export %s TARGETOS= TARGETARCH= VERSION=1.2.3-test && %s", src, environment, strings.ReplaceAll(run, "/out/", out+"/"))
			if said, err := exec.Command("/bin/sh", "-ec", script).CombinedOutput(); err != nil {
				return "", fmt.Errorf("RUN %s: %w\n%s", run, err, said)
			}
		}
	}
	return out, nil
}

// copyContext copies what .dockerignore lets through: it names what is let through, and patterns of what is not.
func copyContext(to string) error {
	rules, err := os.ReadFile(filepath.Join(repository, ".dockerignore"))
	if err != nil {
		return err
	}
	var hidden []string
	for line := range strings.Lines(string(rules)) {
		if pattern, is := strings.CutPrefix(strings.TrimSpace(line), "**/"); is {
			hidden = append(hidden, pattern)
		}
	}
	copyOne := func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, pattern := range hidden {
			if match, _ := filepath.Match(pattern, d.Name()); match && d.IsDir() {
				return fs.SkipDir
			} else if match {
				return nil
			}
		}
		name, err := filepath.Rel(repository, path)
		target := filepath.Join(to, name)
		if err != nil || d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	}
	for line := range strings.Lines(string(rules)) {
		if name, let := strings.CutPrefix(strings.TrimSpace(line), "!"); let {
			if err := filepath.WalkDir(filepath.Join(repository, name), copyOne); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestSUP06_ImageHoldsOneStaticProgramAndNothingThatRunsAsRoot(t *testing.T) {
	stages := dockerfile(t)
	final := stages["parola"]
	if final.from != "scratch" || !slices.Equal(final.all("USER"), []string{"65532:65532"}) || final.all("RUN") != nil {
		t.Errorf("the image is not from scratch and without root: %+v", final)
	}
	goMod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(goMod), "\ngo ")
	minor := version[:strings.LastIndex(strings.Fields(version)[0], ".")]
	if from := stages["build"].from; !strings.HasPrefix(from, "golang:"+minor+".") {
		t.Errorf("the image is built by %s, go.mod wants Go %s", from, minor)
	}
	out := built(t)
	for _, program := range []string{"parola", "demo/handset", "demo/webapp", "demo/api"} {
		mustBeStatic(t, filepath.Join(out, program))
	}
}

// mustBeStatic wants a program that nothing on the file system has to load, built without cgo and without our paths.
func mustBeStatic(t *testing.T, path string) {
	t.Helper()
	binary, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a segment %v", path, p.Type)
		}
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("%s was built with %v", path, settings)
	}
}

// TestSUP06_ImageServesFromAReadOnlyRoot runs the image by itself, as docker run with a volume for SQLite would: its first start
// makes the database, its health check says ready, and the volume is all that it wrote to.
func TestSUP06_ImageServesFromAReadOnlyRoot(t *testing.T) {
	dir := shared(t)
	out := built(t)
	config := filepath.Join(dir, "parola.yaml")
	harness.Run(t, filepath.Join(out, "parola"), "config", "init", config)
	data := filepath.Join(dir, "volume")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	giveAway(t, config, data)
	port := harness.Ports(t, 2)
	c := container{image: "parola", out: out, user: nobody, readOnly: true, binds: []bind{{config, "/etc/parola/parola.yaml", false}, {data, "/var/lib/parola", true}},
		environment: map[string]string{"PAROLA_ISSUER": "http://" + harness.Loopback(port), "PAROLA_SERVER_LISTEN": harness.Loopback(port),
			"PAROLA_SERVER_INTERNAL_LISTEN": harness.Loopback(port + 1), "PAROLA_WHATSAPP_PHONE_NUMBER_ID": "106000000000001",
			"PAROLA_WHATSAPP_ACCESS_TOKEN": "AbCdEfGhIjKlMnOp1", "PAROLA_WHATSAPP_APP_SECRET": "AbCdEfGhIjKlMnOp2", "PAROLA_MFA_COUNTRIES": "IT"}}
	if version := c.run(t, "version"); !strings.HasPrefix(version, "parola 1.2.3-test ") {
		t.Errorf("the image says it is %q", version)
	}
	p := c.start(t, "serve")
	harness.Eventually(t, 30*time.Second, "the health check of the image", func() bool {
		if !p.Running() {
			t.Fatalf("the server ended:\n%s", p.Output())
		}
		return c.healthy(t, dockerfile(t)["parola"])
	})
	wrote, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, f := range wrote {
		names[f.Name()] = true
	}
	if !names["parola.db"] {
		t.Errorf("the volume holds %v", slices.Sorted(maps.Keys(names)))
	}
}

package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func TestDockerfileIsReadByBuildKitWithoutAWarning(t *testing.T) {
	f, err := os.Open(filepath.Join(repository, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	var warnings []string
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) { warnings = append(warnings, rule+": "+message) }})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 || len(warnings) > 0 {
		t.Errorf("warnings: %v %v", parsed.Warnings, warnings)
	}
	last := stages[len(stages)-1]
	if last.Name != "parola" || last.BaseName != "scratch" {
		t.Errorf("the last stage is %s from %s", last.Name, last.BaseName)
	}
	for _, s := range stages {
		named := slices.ContainsFunc(stages, func(other instructions.Stage) bool { return other.Name == s.BaseName })
		if _, version, _ := strings.Cut(s.BaseName, ":"); !named && s.BaseName != "scratch" && strings.Count(version, ".") < 2 {
			t.Errorf("stage %s is from %s, which is not one version", s.Name, s.BaseName)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source that gives the same bytes anywhere passes, by its digest; TestImage builds authd itself from two folders.
func TestReproduce(t *testing.T) {
	s := source{folder: t.TempDir(), version: "v1"}
	for name, content := range map[string]string{
		"go.mod":            "module example.com/program\n\ngo 1.26\n",
		"cmd/authd/main.go": "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
	} {
		must(0, os.MkdirAll(filepath.Join(s.folder, filepath.Dir(name)), 0o755))
		must(0, os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o644))
	}
	var printed strings.Builder
	if err := reproduce(t.Context(), s, "amd64", &printed); err != nil || !strings.Contains(printed.String(), "sha256 ") {
		t.Errorf("%v, printed %q", err, printed.String())
	}
	caches := must(filepath.Glob(filepath.Join(must(os.UserCacheDir()), "authd-reproduce", "*")))
	if len(caches) == 0 {
		t.Error("the second build used no cache of its own")
	}
}

func TestProgramsThatDifferAreReported(t *testing.T) {
	var printed strings.Builder
	if err := compare([]byte("program"), []byte("another"), &printed); err == nil || printed.Len() > 0 {
		t.Errorf("%v, printed %q", err, printed.String())
	}
}

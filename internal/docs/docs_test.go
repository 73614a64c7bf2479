package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

const page = "# A page\n```sh\nmake run\n```\n\n" +
	"1. a list\n   <!-- A test uses this as app.yaml. -->\n   ```yaml\n   a:\n     b: 1\n   ```\n\n" +
	"```console\n$ echo one; \\\n> echo two\none\ntwo\n```\n<!-- a figure -->\n````\n```\n````\n<!-- end -->\n"

func TestParse(t *testing.T) {
	blocks, err := docs.Parse("docs/page.md", page)
	if err != nil {
		t.Fatal(err)
	}
	want := []docs.Block{
		{Page: "docs/page.md", Line: 2, Language: "sh", Text: "make run\n"},
		{Page: "docs/page.md", Line: 8, Language: "yaml", Name: "app.yaml", Text: "a:\n  b: 1\n"},
		{Page: "docs/page.md", Line: 13, Language: "console", Text: "$ echo one; \\\n> echo two\none\ntwo\n"},
		{Page: "docs/page.md", Line: 20, Part: "a figure", Text: "```\n"},
	}
	if len(blocks) != len(want) {
		t.Fatalf("%d blocks, want %d: %+v", len(blocks), len(want), blocks)
	}
	for i, b := range blocks {
		if b != want[i] {
			t.Errorf("block %d is\n%+v, want\n%+v", i, b, want[i])
		}
	}
	for _, bad := range []string{"```sh\nnever closed\n", "text ```sh\n", "```not a language\n```\n"} {
		if blocks, err := docs.Parse("docs/page.md", bad); err == nil {
			t.Errorf("%q has the blocks %v", bad, blocks)
		}
	}
}

// recorder is a test that only remembers that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()                 {}
func (r *recorder) Errorf(string, ...any)   { r.failed = true }
func (r *recorder) Fatal(...any)            { r.failed = true; panic(r) }
func (r *recorder) Fatalf(string, ...any)   { r.failed = true; panic(r) }
func (r *recorder) run(do func(testing.TB)) { defer func() { _ = recover() }(); do(r) }

func TestShell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		steps []docs.Step
		fails bool
	}{
		{"exact", []docs.Step{{"echo one", "one"}}, false},
		{"any", []docs.Step{{"echo one two three", "one … three"}}, false},
		{"blanks", []docs.Step{{"echo 'a   b  '; echo c", "a b\nc"}}, false},
		{"empty lines", []docs.Step{{"echo; echo a; echo ' '; echo b", "a\nb"}}, false},
		{"errors are printed", []docs.Step{{"echo one >&2", "one"}}, false},
		{"one shell", []docs.Step{{"X=1", ""}, {"echo $X", "1"}}, false},
		{"background", []docs.Step{{"sleep 100 &", ""}, {"echo here", "here"}}, false},
		{"killed", []docs.Step{{"sleep 100 & kill -9 $!; wait $! || true; echo here", "here"}}, false},
		{"another place", []docs.Step{{"echo 127.0.0.1:8080", "127.0.0.1:8080"}}, false},
		{"in the folder", []docs.Step{{"pwd; cd; pwd", "FOLDER\nFOLDER"}}, false},
		{"other output", []docs.Step{{"echo one", "two"}}, true},
		{"more output", []docs.Step{{"echo one; echo two", "one"}}, true},
		{"any is of a line", []docs.Step{{"echo one; echo two", "…"}}, true},
		{"silent", []docs.Step{{"true", "one"}}, true},
		{"a step fails", []docs.Step{{"false", ""}, {"echo one", "one"}}, true},
		{"the last fails", []docs.Step{{"echo one", "one"}, {"false", ""}}, true},
		{"within a pipe", []docs.Step{{"false | true", ""}}, true},
		{"unset", []docs.Step{{"echo $NOT_THERE", ""}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			shell := docs.Shell{Dir: dir, Places: strings.NewReplacer("127.0.0.1:8080", "elsewhere", "FOLDER", dir)}
			r.run(func(tb testing.TB) { shell.Run(tb, c.steps) })
			if r.failed != c.fails {
				t.Errorf("failed: %v, want %v", r.failed, c.fails)
			}
		})
	}
}

// What a test asks for and a page does not have ends the test.
func TestMissingBlocks(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("docs", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "page.md"} {
		if err := os.WriteFile(filepath.Join("docs", name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := docs.File(t, "docs/page.md", "app.yaml"); got != "a:\n  b: 1\n" {
		t.Errorf("app.yaml is %q", got)
	}
	if got := docs.Text(t, "docs/page.md", "sh", 0); got != "make run\n" {
		t.Errorf("the first command is %q", got)
	}
	want := docs.Step{Command: "echo one; \\\necho two", Output: "one\ntwo"}
	if got := docs.Steps(t, "docs/page.md"); len(got) != 1 || got[0] != want {
		t.Errorf("the steps are %+v, want %+v", got, want)
	}
	for name, do := range map[string]func(testing.TB){
		"page":     func(t testing.TB) { docs.Blocks(t, "docs/none.md", "sh") },
		"language": func(t testing.TB) { docs.Blocks(t, "docs/page.md", "go") },
		"number":   func(t testing.TB) { docs.Text(t, "docs/page.md", "sh", 1) },
		"file":     func(t testing.TB) { docs.File(t, "docs/page.md", "other.yaml") },
	} {
		r := &recorder{TB: t}
		if r.run(do); !r.failed {
			t.Errorf("without the %s the test goes on", name)
		}
	}
}

// What is generated is compared, and written where the test is asked to.
func TestGenerated(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("docs", 0o700); err != nil {
		t.Fatal(err)
	}
	const before = "# Page\n<!-- one -->\nold\n<!-- end -->\ntext\n<!-- A test runs this. -->\n<!-- two -->\n<!-- end -->\n"
	const after = "# Page\n<!-- one -->\n1\n1\n<!-- end -->\ntext\n<!-- A test runs this. -->\n<!-- two -->\n2\n<!-- end -->\n"
	for _, name := range []string{"docs/README.md", "docs/page.md"} {
		if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parts := map[string]string{"one": "1\n1\n", "two": "2\n"}
	for _, c := range []struct {
		name        string
		parts       map[string]string
		write, fail bool
		want        string
	}{
		{"another text", parts, false, true, before},
		{"a part too few", map[string]string{"one": "1\n1\n"}, true, true, before},
		{"a part too many", map[string]string{"one": "", "two": "", "three": ""}, true, true, before},
		{"written", parts, true, false, after},
		{"the same text", parts, false, false, after},
	} {
		r := &recorder{TB: t}
		r.run(func(tb testing.TB) { docs.Generated(tb, "docs/page.md", c.parts, c.write) })
		got, err := os.ReadFile("docs/page.md")
		if err != nil || string(got) != c.want || r.failed != c.fail {
			t.Errorf("%s: failed %v, %v, the page is\n%s", c.name, r.failed, err, got)
		}
	}
}

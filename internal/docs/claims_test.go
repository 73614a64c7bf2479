package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unexecuted are the blocks that no test takes, by their page and how they begin, each with the reason.
var unexecuted = map[[2]string]string{
	{"README.md", "              login"}:                        "a figure",
	{"docs/console.md", "$ ssh "}:                               "a second machine",
	{"docs/images.md", "oras cp "}:                              "a registry, and a tool of others",
	{"docs/images.md", "oras discover "}:                        "likewise",
	{"docs/images.md", "cosign sign "}:                          "a registry, and an identity that Sigstore knows",
	{"docs/cluster.md", "cd deploy/compose"}:                    "a container engine; `make cluster` starts the same file, and is tested",
	{"docs/images.md", "docker run "}:                           "a container engine; what it starts is started by the tests of the image",
	{"docs/kubernetes.md", "kubectl --namespace authd rollout"}: "a cluster with nodes",
	{"docs/users.md", "dotnet tool "}:                           "a download of 40 GB",
}

// Every fenced block of every page is taken by a test, or stands in the list above.
func TestEveryBlockIsExecuted(t *testing.T) {
	t.Parallel()
	pages, sources := map[string]string{}, map[string]string{}
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "bin" || name == "node_modules" || name == "testdata" || len(name) > 1 && name[0] == '.'):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".md"):
			return readInto(pages, root(t), path)
		case strings.HasSuffix(name, "_test.go") && !strings.Contains(path, filepath.Join("internal", "docs")): // not its own
			return readInto(sources, root(t), path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 40 || len(sources) < 100 {
		t.Fatalf("%d pages, %d files of tests", len(pages), len(sources))
	}
	for _, complaint := range check(pages, sources, unexecuted) {
		t.Error(complaint)
	}
}

func readInto(texts map[string]string, root, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(root, path)
	texts[filepath.ToSlash(name)] = string(text)
	return err
}

// check returns what is wrong: blocks that nothing takes, what tests take and pages do not have, and exceptions that are none.
func check(pages, sources map[string]string, except map[[2]string]string) []error {
	var wrong []error
	blocks, taken := map[string][]Block{}, map[Block]bool{}
	for page, text := range pages {
		parsed, err := Parse(page, text)
		wrong = append(wrong, err)
		blocks[page] = parsed
	}
	for name, source := range sources {
		claims, err := claimsOf(name, source)
		wrong = append(wrong, err)
		for _, c := range claims {
			found, err := c.blocks(blocks)
			wrong = append(wrong, err)
			for _, b := range found {
				taken[b] = true
			}
		}
	}
	used := map[[2]string]bool{}
	for _, page := range slices.Sorted(maps.Keys(blocks)) {
		for _, b := range blocks[page] {
			exception, listed := exceptionOf(b, except)
			used[exception] = listed
			switch {
			case !taken[b] && !listed:
				wrong = append(wrong, fmt.Errorf("%s: no test takes this block, which begins with %q", b, firstLine(b.Text)))
			case taken[b] && listed:
				wrong = append(wrong, fmt.Errorf("%s: a test takes this block, and it is listed as one that none does", b))
			}
		}
	}
	for e, reason := range except {
		if !used[e] || reason == "" {
			wrong = append(wrong, fmt.Errorf("%s has no block that begins with %q, or the list says not why it is not executed", e[0], e[1]))
		}
	}
	return slices.DeleteFunc(wrong, func(err error) bool { return err == nil })
}

func exceptionOf(b Block, except map[[2]string]string) ([2]string, bool) {
	for e := range except {
		if e[0] == b.Page && strings.HasPrefix(b.Text, e[1]) {
			return e, true
		}
	}
	return [2]string{}, false
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// claim is a call of a test that takes blocks.
type claim struct {
	where, function, page string
	selectors             []string // as they are written after the page, unquoted
}

// claimsOf finds the calls of this package in a file.
func claimsOf(name, source string) ([]claim, error) {
	const path = `"github.com/authd-project/authd/internal/docs"`
	if !strings.Contains(source, path) {
		return nil, nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var claims []claim
	var wrong []error
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			if statement, ok := n.(*ast.ExprStmt); ok && functionOf(statement.X) != "" && functionOf(statement.X) != "Generated" {
				wrong = append(wrong, fmt.Errorf("%s: a block is taken, and not used", files.Position(n.Pos())))
			}
			return true
		}
		function := functionOf(call)
		if function == "" {
			return true
		}
		c := claim{where: files.Position(n.Pos()).String(), function: function}
		for i, arg := range call.Args[1:] {
			if function == "Generated" && i > 0 {
				break // it takes all that is generated
			}
			literal, ok := arg.(*ast.BasicLit)
			if !ok {
				wrong = append(wrong, fmt.Errorf("%s: page and block must be literals, for the test that reads this", c.where))
				return true
			}
			value := literal.Value
			if literal.Kind == token.STRING {
				value, _ = strconv.Unquote(value) // it has been parsed
			}
			if i == 0 {
				c.page = value
			} else {
				c.selectors = append(c.selectors, value)
			}
		}
		claims = append(claims, c)
		return true
	})
	return claims, errors.Join(wrong...)
}

// functionOf returns which function of this package is called, if one is that takes blocks.
func functionOf(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok || pkg.Name != "docs" || !slices.Contains([]string{"Blocks", "Text", "File", "Steps", "Generated"}, selector.Sel.Name) {
		return ""
	}
	return selector.Sel.Name
}

// blocks returns what the call takes.
func (c claim) blocks(pages map[string][]Block) (found []Block, err error) {
	switch c.function {
	case "File":
		found, err = selectFile(pages[c.page], c.selectors[0])
	case "Generated":
		for _, b := range pages[c.page] {
			if b.Part != "" {
				found = append(found, b)
			}
		}
	default:
		language, numbers := "console", c.selectors
		if c.function != "Steps" {
			language, numbers = c.selectors[0], c.selectors[1:]
		}
		var ns []int
		for _, text := range numbers {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.where, err)
			}
			ns = append(ns, n)
		}
		found, err = selectBlocks(pages[c.page], language, ns...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s %w", c.where, c.page, err)
	}
	return found, nil
}

// The check sees what it is there for.
func TestCheck(t *testing.T) {
	t.Parallel()
	const page = "<!-- targets -->\n```sh\nmake run\n```\n<!-- end -->\n<!-- A test uses this as a.yaml. -->\n```yaml\na: 1\n```\n```console\n$ true\n```\n"
	const head = "package p\nimport \"github.com/authd-project/authd/internal/docs\"\n"
	all := head + `func TestA(t *testing.T) { run(docs.Text(t, "p.md", "sh", 0), docs.File(t, "p.md", "a.yaml"), docs.Steps(t, "p.md")) }`
	for _, c := range []struct {
		name, source string
		except       map[[2]string]string
		wrong        int
	}{
		{"all are taken", all, nil, 0},
		{"one is not", strings.Replace(all, `docs.Steps(t, "p.md")`, "", 1), nil, 1},
		{"none is", "package p", nil, 3},
		{"all of a language", head + `var x, y, z = docs.Blocks(t, "p.md", "sh"), docs.Blocks(t, "p.md", "yaml", 0), docs.Steps(t, "p.md", 0)`, nil, 0},
		{"what the page does not have", strings.Replace(all, "a.yaml", "b.yaml", 1), nil, 2},
		{"no such number", strings.Replace(all, "0", "1", 1), nil, 2},
		{"no such page", strings.ReplaceAll(all, "p.md", "q.md"), nil, 6},
		{"generated", head + `func TestA(t *testing.T) { docs.Generated(t, "p.md", parts, *write) }`, nil, 2},
		{"a variable", strings.Replace(all, `"a.yaml"`, "name", 1), nil, 2},
		{"taken and not used", all + "\nfunc TestB(t *testing.T) { docs.Steps(t, `p.md`) }", nil, 1},
		{"listed", strings.Replace(all, `docs.Steps(t, "p.md")`, "", 1), map[[2]string]string{{"p.md", "$ true"}: "a reason"}, 0},
		{"listed without a reason", strings.Replace(all, `docs.Steps(t, "p.md")`, "", 1), map[[2]string]string{{"p.md", "$ true"}: ""}, 1},
		{"listed and taken", all, map[[2]string]string{{"p.md", "$ true"}: "a reason"}, 1},
		{"listed and not there", all, map[[2]string]string{{"p.md", "$ false"}: "a reason"}, 1},
	} {
		if wrong := check(map[string]string{"p.md": page}, map[string]string{"p_test.go": c.source}, c.except); len(wrong) != c.wrong {
			t.Errorf("%s: %d complaints, want %d: %v", c.name, len(wrong), c.wrong, wrong)
		}
	}
}

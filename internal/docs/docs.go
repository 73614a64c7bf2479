// Package docs takes the fenced blocks out of the project's pages, for the tests that execute them.
//
// A test names the page and the block, and gets the text as it stands there:
//
//	docs.Text(t, "docs/redis.md", "go", 0)             // the first block of Go
//	docs.File(t, "docs/users-sql.md", "app.yaml")      // the block behind <!-- A test uses this as app.yaml. -->
//	docs.Steps(t, "docs/oauth.md")                     // the commands of all console blocks, with what they print
//	docs.Generated(t, "docs/settings.md", parts, *write) // what a program writes, between <!-- its name --> and <!-- end -->
//
// Page, language, number and name are written as literals, since the test of this package reads them: it fails for every
// block of a page that no test takes, unless the block is in its list of what cannot be executed, with the reason.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Block is a fenced block of a page.
type Block struct {
	Page     string // from the root of the repository: docs/redis.md
	Line     int    // of the opening fence, from 1
	Language string // empty where the fence names none
	Name     string // of the file that the block is, where the comment before it says so
	Part     string // of the page that is generated and has the block; empty in what people write
	Text     string // without the fences and their indentation; each line ends in a newline
}

func (b Block) String() string { return fmt.Sprintf("%s:%d (%s)", b.Page, b.Line, b.Language) }

var (
	fence = regexp.MustCompile("^([ \t]*)(```+)([A-Za-z]*)$")
	name  = regexp.MustCompile(`^<!-- A test uses this as (\S+)\. -->$`)
)

// Parse returns the blocks of a page in order.
func Parse(page, text string) ([]Block, error) {
	var blocks []Block
	part := ""
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		open := fence.FindStringSubmatch(lines[i])
		if open == nil {
			part = partAt(lines[i], part)
			if strings.Contains(lines[i], "```") {
				return nil, fmt.Errorf("%s:%d: a fence is three backticks and a language", page, i+1)
			}
			continue
		}
		b := Block{Page: page, Line: i + 1, Language: open[3], Part: part}
		if i > 0 {
			if m := name.FindStringSubmatch(strings.TrimSpace(lines[i-1])); m != nil {
				b.Name = m[1]
			}
		}
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != open[2]; i++ {
			b.Text += strings.TrimPrefix(lines[i], open[1]) + "\n"
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s: block is never closed", b)
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// selectBlocks returns those of a language, or of these numbers among them, counted from 0.
func selectBlocks(blocks []Block, language string, numbers ...int) ([]Block, error) {
	blocks = slices.DeleteFunc(slices.Clone(blocks), func(b Block) bool { return b.Language != language })
	if len(blocks) == 0 {
		return nil, fmt.Errorf("has no block of %q", language)
	}
	if len(numbers) == 0 {
		return blocks, nil
	}
	var selected []Block
	for _, n := range numbers {
		if n >= len(blocks) {
			return nil, fmt.Errorf("has %d blocks of %q, none with the number %d", len(blocks), language, n)
		}
		selected = append(selected, blocks[n])
	}
	return selected, nil
}

func selectFile(blocks []Block, name string) ([]Block, error) {
	blocks = slices.DeleteFunc(slices.Clone(blocks), func(b Block) bool { return b.Name != name })
	if len(blocks) != 1 {
		return nil, fmt.Errorf("has %d blocks that are %s", len(blocks), name)
	}
	return blocks, nil
}

// Blocks returns the blocks of a language on a page, or those of these numbers among them, counted from 0. The test ends
// where one is missing, or where there is none.
func Blocks(t testing.TB, page, language string, numbers ...int) []Block {
	t.Helper()
	blocks, err := selectBlocks(read(t, page), language, numbers...)
	if err != nil {
		t.Fatalf("%s %v", page, err)
	}
	return blocks
}

// Text returns what stands in the n-th block of a language on a page.
func Text(t testing.TB, page, language string, n int) string {
	t.Helper()
	return Blocks(t, page, language, n)[0].Text
}

// File returns what stands in the block of a page behind the comment that a test uses it as the file of this name.
func File(t testing.TB, page, name string) string {
	t.Helper()
	blocks, err := selectFile(read(t, page), name)
	if err != nil {
		t.Fatalf("%s %v", page, err)
	}
	return blocks[0].Text
}

func read(t testing.TB, page string) []Block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := Parse(page, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// root returns the folder of the repository, above that of the package which is tested.
func root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "docs", "README.md")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			t.Fatal("no folder above this one has docs/README.md")
		}
		folder = filepath.Dir(folder)
	}
}

package architecture_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/README.md leads to every page.
func TestEveryPageIsListed(t *testing.T) {
	index := filepath.Join("..", "..", "docs", "README.md")
	var listed []string
	for _, l := range linksOf(t, index) {
		listed = append(listed, filepath.Join(filepath.Dir(index), strings.Split(l, "#")[0]))
	}
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		if p != index && !slices.Contains(listed, p) {
			t.Errorf("docs/README.md does not lead to %s", filepath.Base(p))
		}
	}
}

// Every link from a page to something here leads somewhere, to the heading too.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/chart/README.md"} {
		pages = append(pages, filepath.Join("..", "..", name))
	}
	links := 0
	for _, page := range pages {
		for _, link := range linksOf(t, page) {
			links++
			if err := follow(t, page, link); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

// The rules that links are held against.
func TestAnchors(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	text := "# A `b_c`, and *d*!\n## The same\n## The same\n```sh\n# none\n[x](gone.md)\n```\n## [Linked](x.md): 1.2\n" +
		"[a](#the-same-1) [b](#none) [c](https://example.com) [`d`](page.md#linked-12) `[e](gone.md)`\n![f](gone.svg)\n"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"a-b_c-and-d", "the-same", "the-same-1", "linked-12"}
	if got := anchorsOf(t, page); !slices.Equal(got, want) {
		t.Errorf("anchors %q, want %q", got, want)
	}
	var bad []string
	for _, link := range linksOf(t, page) {
		if follow(t, page, link) != nil {
			bad = append(bad, link)
		}
	}
	if want := []string{"x.md", "#none", "gone.svg"}; !slices.Equal(bad, want) {
		t.Errorf("lead nowhere: %q, want %q", bad, want)
	}
}

// follow returns an error where a relative link leads nowhere.
func follow(t *testing.T, page, link string) error {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		return fmt.Errorf("link %q: %w", link, err)
	}
	target := page
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(page), filepath.FromSlash(u.Path))
	}
	if _, err := os.Stat(target); err != nil {
		return fmt.Errorf("link %q: %w", link, err)
	}
	if u.Fragment != "" && !slices.Contains(anchorsOf(t, target), u.Fragment) {
		return fmt.Errorf("link %q: there is no such heading", link)
	}
	return nil
}

var (
	fence    = regexp.MustCompile("(?s)(^|\n)```.*?\n```")
	code     = regexp.MustCompile("`[^`\n]*`")
	linkText = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	scheme   = regexp.MustCompile(`^[a-z]+:`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

func pageText(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(text), "$1")
}

// linksOf returns where a page leads to within the repository.
func linksOf(t *testing.T, page string) []string {
	t.Helper()
	var links []string
	text := code.ReplaceAllString(pageText(t, page), "code")
	for _, m := range linkText.FindAllStringSubmatch(text, -1) {
		if !scheme.MatchString(m[1]) {
			links = append(links, m[1])
		}
	}
	return links
}

// anchorsOf returns the names of a page's headings, as the usual viewers make them.
func anchorsOf(t *testing.T, page string) []string {
	t.Helper()
	var anchors []string
	seen := make(map[string]int)
	for line := range strings.Lines(pageText(t, page)) {
		heading, found := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !found || !strings.HasPrefix(line, "#") {
			continue
		}
		heading = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
		slug := strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
		n := seen[slug]
		seen[slug]++
		if n > 0 {
			slug = fmt.Sprintf("%s-%d", slug, n)
		}
		anchors = append(anchors, slug)
	}
	return anchors
}

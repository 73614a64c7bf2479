package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/surfaces.md print what it says, and its links lead to sections that exist.
func TestSurfacesGuide(t *testing.T) {
	t.Parallel()
	const guide = "../../docs/surfaces.md"
	const secret = "0123456789abcdef0123456789abcdef"
	digest := sha256.Sum256([]byte(secret))
	s := serve(t, t.TempDir(), "--demo", "--clients", "orders:"+hex.EncodeToString(digest[:]))
	g := s.login(t, "demo", "correct horse battery staple")
	for _, step := range transcript(t, guide) {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.ReplaceAll(step.command, "http://127.0.0.1:8080", s.URL))
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TOKEN="+g.AccessToken, "SECRET="+secret)
		out, err := cmd.CombinedOutput()
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(step.output), "…", ".*") + "$"
		if got := strings.TrimSpace(string(out)); err != nil || !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s\n%v", step.command, got, step.output, err)
		}
	}

	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`\]\(([a-z-]*\.md)?(#[a-z0-9-]+)?\)`).FindAllStringSubmatch(string(text), -1) {
		file := guide
		if link[1] != "" {
			file = filepath.Join(filepath.Dir(guide), link[1])
		}
		page, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		if link[2] != "" && !hasSection(string(page), link[2][1:]) {
			t.Errorf("%s has no section %s", file, link[2])
		}
	}
}

// hasSection looks for a heading by the name that links have for it.
func hasSection(page, anchor string) bool {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		name := strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")
		if regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(name, "") == anchor {
			return true
		}
	}
	return false
}

package httpapi_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/docs"
)

// The commands of docs/api.md print what it says.
func TestAPIGuide(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Clients = []httpapi.Client{{ID: "demo-service", SecretSHA256: sha256.Sum256([]byte("demo-service-secret"))}}
	}})
	_, err := e.users.Add(t.Context(), "demo", "correct horse battery staple", "demo")
	must(t, err)
	data := t.TempDir()
	must(t, os.WriteFile(filepath.Join(data, "admin-token"), []byte(adminToken+"\n"), 0o600))

	places := strings.NewReplacer("http://127.0.0.1:8080", e.publicURL, "http://127.0.0.1:8081", e.adminURL)
	docs.Shell{Env: []string{"AUTHD_DATA=" + data}, Places: places}.Run(t, docs.Steps(t, "docs/api.md"))
}

// Every operation is in the guide, and the guide names no other.
func TestGuideIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	must(t, err)
	for name, d := range contracts(t) {
		for path := range d.model.Paths.PathItems.KeysFromOldest() {
			if strings.HasPrefix(path, "/.well-known/") {
				path = path[strings.LastIndexByte(path, '/')+1:]
			}
			if !strings.Contains(string(text), path) {
				t.Errorf("%s: %s is not in the guide", name, path)
			}
		}
	}
}

// The guide's table of codes has all that the package has, and no other.
func TestGuideHasEveryCode(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	var source string
	for _, name := range files {
		code, err := os.ReadFile(name)
		must(t, err)
		source += string(code)
	}
	text, err := os.ReadFile("../docs/api.md")
	must(t, err)
	_, table, found := strings.Cut(string(text), "\n## Codes\n")
	if !found {
		t.Fatal("the guide has no table of codes")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^(?:const |\t)code\w+ += "(\w+)"`).FindAllStringSubmatch(source, -1) {
		want = append(want, m[1])
	}
	for _, row := range regexp.MustCompile(`(?m)^\| \d{3} \| ([^|]*) \|`).FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			got = append(got, m[1])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("the guide has the codes %q, authd %q", got, want)
	}
}

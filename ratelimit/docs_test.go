package ratelimit_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/ratelimit"
)

// What docs/ratelimit.md says must be so: its policies parse, the defaults are all there, and the rights are those of
// the package comment, which redislimit's tests run with.
func TestDocumentIsTrue(t *testing.T) {
	doc := readFile(t, "../docs/ratelimit.md")
	for _, match := range regexp.MustCompile("`([a-z]+-(?:window|bucket) [^`]+)`").FindAllStringSubmatch(doc, -1) {
		if _, err := ratelimit.ParsePolicy(match[1]); err != nil {
			t.Error(err)
		}
	}
	_, logins, _ := strings.Cut(doc, "## Logins")
	defaults := reflect.ValueOf(ratelimit.DefaultLoginPolicies())
	for i := range defaults.NumField() {
		p, ok := defaults.Field(i).Interface().(ratelimit.Policy)
		if !ok || p.Validate() != nil || !strings.Contains(logins, "| `"+p.String()+"` |") {
			t.Errorf("the default of %s, %v, is not documented", defaults.Type().Field(i).Name, p)
		}
	}
	rights := regexp.MustCompile(`~authd:limit:\* .*`)
	if in, want := rights.FindString(doc), rights.FindString(readFile(t, "redislimit/doc.go")); in != want || want == "" {
		t.Errorf("the document's rights %q are not the package comment's %q", in, want)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

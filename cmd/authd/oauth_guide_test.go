package main_test

import (
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The commands of docs/oauth.md print what it says.
func TestOAuthGuide(t *testing.T) {
	t.Parallel()
	ports := freePorts(t)
	places := strings.NewReplacer("127.0.0.1:8080", ports+"1", "127.0.0.1%3A8080", strings.Replace(ports, ":", "%3A", 1)+"1",
		"authd serve", "authd serve --listen "+ports+"1 --admin-listen "+ports+"2")
	docs.Shell{Env: path(), Places: places}.Run(t, docs.Steps(t, "docs/oauth.md"))
}

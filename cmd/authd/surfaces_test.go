package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The commands of docs/surfaces.md print what it says.
func TestSurfacesGuide(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	digest := sha256.Sum256([]byte(secret))
	s := serve(t, t.TempDir(), "--demo", "--clients", "orders:"+hex.EncodeToString(digest[:]))
	g := s.login(t, "demo", "correct horse battery staple")
	env := append(path(), "TOKEN="+g.AccessToken, "SECRET="+secret)
	places := strings.NewReplacer("http://127.0.0.1:8080", s.URL)
	docs.Shell{Env: env, Places: places}.Run(t, docs.Steps(t, "docs/surfaces.md"))
}

package testenv

import (
	_ "embed"
	"testing"
)

//go:embed openidclient/package-lock.json
var openIDClientLock []byte

// OpenIDClientDir makes a folder in which node finds openid-client, npm's certified client of OpenID Connect, and jose, for
// scripts of a test's own.
func OpenIDClientDir(t testing.TB) string {
	t.Helper()
	return npmDir(t, "openidclient", openIDClientLock)
}

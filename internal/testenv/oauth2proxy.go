package testenv

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// OAuth2Proxy starts oauth2-proxy with args and returns the address it listens on. configure is given that address, of a free
// loopback port, and returns the file oauth2-proxy.cfg; it must set http_address to it. See [Nginx] for how it ends.
func OAuth2Proxy(t testing.TB, args []string, configure func(addr string) string) (addr string) {
	t.Helper()
	binary, err := oauth2ProxyPath()
	if err != nil {
		t.Fatal(err)
	}
	addr = startDaemon(t, daemon{
		program: binary, args: args, ready: "OAuthProxy configured", file: "oauth2-proxy.cfg",
	}, configure)
	awaitListener(t, addr) // it says nothing once it listens
	return addr
}

func awaitListener(t testing.TB, addr string) {
	t.Helper()
	for deadline := time.Now().Add(settleTime); ; time.Sleep(20 * time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not listened on within %v: %v", addr, settleTime, err)
		}
	}
}

// oauth2ProxyPath returns where install.d/oauth2-proxy.sh has put it.
func oauth2ProxyPath() (string, error) {
	source, err := repositoryFile("internal/testenv/oauth2proxy")
	if err != nil {
		return "", fmt.Errorf("looking for oauth2-proxy: %w", err)
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("looking for oauth2-proxy: %w", err)
		}
		hash.Write(content)
	}
	path := filepath.Join(cacheDir(), fmt.Sprintf("oauth2proxy-%x", hash.Sum(nil)), "oauth2-proxy")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("oauth2-proxy is not installed: %w; run internal/testenv/install.sh (make test does)", err)
	}
	return path, nil
}

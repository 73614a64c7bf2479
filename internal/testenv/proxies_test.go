package testenv_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// reverseProxies are the functions that start one, each with a configuration that answers 204 at an address.
var reverseProxies = map[string]struct {
	start     func(testing.TB, func(addr string) string) string
	configure func(addr string) string
}{
	"nginx": {testenv.Nginx, func(addr string) string {
		return "server {\n listen " + addr + ";\n location / { return 204; }\n}\n"
	}},
	"caddy": {testenv.Caddy, func(addr string) string {
		return "http://" + addr + " {\n respond 204\n}\n"
	}},
	"haproxy": {testenv.HAProxy, func(addr string) string {
		return "defaults\n mode http\n timeout client 9s\nfrontend f\n bind " + addr + "\n http-request return status 204\n"
	}},
}

func TestReverseProxies(t *testing.T) {
	for name, p := range reverseProxies {
		t.Run(name, func(t *testing.T) {
			var addr string
			t.Run("runs", func(t *testing.T) {
				addr = p.start(t, p.configure)
				if err := get(addr); err != nil {
					t.Error(err)
				}
			})
			if get(addr) == nil {
				t.Error("it has not ended with its test")
			}
		})
	}
}

// get succeeds when 204 is answered, on a connection of its own.
func get(addr string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// fataller is a test that must not go on.
type fataller struct {
	testing.TB
	text string
}

func (f *fataller) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Whoever writes a configuration that a proxy refuses is told what the proxy said about it.
func TestReverseProxiesRefuse(t *testing.T) {
	for name, p := range reverseProxies {
		t.Run(name, func(t *testing.T) {
			f := &fataller{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				p.start(f, func(addr string) string { return p.configure(addr) + "no_such_directive;\n" })
			}()
			<-done
			if !strings.Contains(f.text, "no_such_directive") {
				t.Errorf("the error does not quote the proxy: %s", f.text)
			}
		})
	}
}

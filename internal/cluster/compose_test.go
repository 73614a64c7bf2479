package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// What a service says in its container becomes what is meant on this machine, and nothing else is touched.
func TestRewrite(t *testing.T) {
	r := rewriter{
		addresses: map[string]string{
			"authd-1": "127.83.0.11", "redis-1": "127.83.0.21", "database": "127.83.0.41", "10.83.0.21": "127.83.0.21",
			"10.83.0.0/24": "127.0.0.0/8",
		},
		published: map[string]string{"127.0.0.1:8080": "127.0.0.5:8080"},
		own:       "127.83.0.11", root: "/tmp/c/authd-1", targets: []string{"/data", "/run/secrets"},
	}
	for text, want := range map[string]string{
		":8080":                                   "127.83.0.11:8080",
		"http://127.0.0.1:8080":                   "http://127.0.0.5:8080",
		"http://127.0.0.1:8081/readyz":            "http://127.83.0.11:8081/readyz",
		"ping 127.0.0.1 5432":                     "ping 127.83.0.11 5432",
		"postgres://authd@database/authd":         "postgres://authd@127.83.0.41/authd",
		"redis://redis-1,redis-10,x-redis-1:6379": "redis://127.83.0.21,redis-10,x-redis-1:6379",
		"10.83.0.0/24":                            "127.0.0.0/8",
		"10.83.0.21":                              "127.83.0.21",
		"aclfile /run/secrets/redis.acl":          "aclfile /tmp/c/authd-1/run/secrets/redis.acl",
		"dir /data\n":                             "dir /tmp/c/authd-1/data\n",
		"/var/data/x /data":                       "/var/data/x /tmp/c/authd-1/data",
		">/data/f </run/secrets/kek":              ">/tmp/c/authd-1/data/f </tmp/c/authd-1/run/secrets/kek",
		"proxy_pass http://service;":              "proxy_pass http://service;",
	} {
		if got := r.text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// What the program does not know of compose files it refuses, instead of starting something else.
func TestUnknownIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"services: {a: {image: redis, cpus: 2}}":                                       "cpus",
		"services: {a: {image: redis}}\nconfigs: {}":                                   "configs is not supported",
		"services: {a: {image: redis, secrets: [s]}}":                                  "no secret s",
		"services: {a: {image: redis, depends_on: {b: {condition: service_healthy}}}}": "depends_on b",
	} {
		name := filepath.Join(t.TempDir(), "compose.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readCompose(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nis read with %v, want %q", text, err, want)
		}
	}
	f := &composeFile{Services: map[string]*service{"a": {Image: "mysql:9"}}}
	if _, err := newNodes(f, place{}); err == nil || !strings.Contains(err.Error(), "mysql") {
		t.Errorf("an unknown image: %v", err)
	}
}

// One source for each: the server of orders is that of deploy/proxies, authd's rights in Redis are those of the page.
func TestCopiesAreEqual(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	server := func(text, listen string) string {
		_, after, found := strings.Cut(text, "server {\n    listen "+listen+";")
		body, _, closed := strings.Cut(after, "\n}\n")
		if !found || !closed {
			t.Fatalf("no server that listens at %s in\n%s", listen, text)
		}
		return body
	}
	if server(read("compose/nginx.conf"), "8000") != server(read("proxies/nginx.conf"), "127.0.0.1:8000") {
		t.Error("the server of orders in deploy/compose/nginx.conf is not that of deploy/proxies/nginx.conf")
	}
	_, rights, _ := strings.Cut(docs.File(t, "docs/redis.md", "authd.acl"), ">PASSWORD ")
	if here := regexp.MustCompile(`user authd on #\S+ \S+ \S+ (.*)`).FindStringSubmatch(strings.ReplaceAll(read("compose/secrets.sh"), "$(hash \"$(cat redis-password)\")", "hash")); here == nil || "resetkeys resetchannels "+here[1] != strings.TrimSpace(rights) {
		t.Errorf("authd's rights in deploy/compose/secrets.sh are not those of docs/redis.md: %q", here)
	}
}

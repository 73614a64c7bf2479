package main_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/docs"
)

// The snippets of docs/proxies.md stand in the files that the tests run.
func TestProxiesGuide(t *testing.T) {
	t.Parallel()
	for file, snippet := range map[string]string{
		"nginx.conf":   docs.Text(t, "docs/proxies.md", "nginx", 0),
		"Caddyfile":    docs.Text(t, "docs/proxies.md", "caddyfile", 0),
		"haproxy.cfg":  docs.Text(t, "docs/proxies.md", "haproxy", 0),
		"traefik.yaml": docs.Text(t, "docs/proxies.md", "yaml", 0),
		"envoy.yaml":   docs.Text(t, "docs/proxies.md", "yaml", 1),
	} {
		isCutFrom(t, file, snippet)
	}
}

// isCutFrom checks that a page shows what stands in a file of deploy/proxies.
func isCutFrom(t *testing.T, file, snippet string) {
	t.Helper()
	if !strings.Contains(unindented(deployFile(t, file)), "\n"+unindented(snippet)) {
		t.Errorf("%s does not have\n%s", file, snippet)
	}
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
}

// Traefik cannot be run here; what it is told can be read.
func TestTraefikConfiguration(t *testing.T) {
	t.Parallel()
	type headers struct {
		CustomRequestHeaders map[string]string `yaml:"customRequestHeaders"`
	}
	type forwardAuth struct {
		Address             string
		AuthResponseHeaders []string `yaml:"authResponseHeaders"`
	}
	var config struct {
		HTTP struct {
			Routers map[string]struct {
				Rule, Service string
				Middlewares   []string
			}
			Middlewares map[string]struct {
				Headers     *headers
				ForwardAuth *forwardAuth `yaml:"forwardAuth"`
			}
			Services map[string]struct {
				LoadBalancer struct {
					Servers []struct{ URL string }
				} `yaml:"loadBalancer"`
			}
		} `yaml:"http"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(deployFile(t, "traefik.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	router := config.HTTP.Routers["service"]
	if _, ok := config.HTTP.Services[router.Service]; !ok || !slices.Equal(router.Middlewares, []string{"clean", "authd"}) {
		t.Fatalf("the router is %+v", router)
	}
	cleaned := config.HTTP.Middlewares["clean"].Headers.CustomRequestHeaders
	names := config.HTTP.Middlewares["authd"].ForwardAuth.AuthResponseHeaders
	if len(names) != 3 || len(cleaned) != 3*4+1 {
		t.Errorf("%d headers of authd, %d removed before", len(names), len(cleaned))
	}
	for _, name := range append(names, "Connection") {
		parts := strings.Split(name, "-")
		for spelling := range 1 << (len(parts) - 1) { // each separator is a hyphen or an underscore
			s := parts[0]
			for i, part := range parts[1:] {
				s += string("-_"[spelling>>i&1]) + part
			}
			if value, ok := cleaned[s]; !ok || value != "" {
				t.Errorf("%s is not removed", s)
			}
		}
	}
}

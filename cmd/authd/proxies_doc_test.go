package main_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The snippets of docs/proxies.md stand in the files that the tests run.
func TestProxiesGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)<!-- Cut from deploy/proxies/(\\S+); a test compares. -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(snippets) != 5 {
		t.Fatalf("%d snippets", len(snippets))
	}
	for _, s := range snippets {
		if file := deployFile(t, s[1]); !strings.Contains(unindented(file), "\n"+unindented(s[2])) {
			t.Errorf("%s does not have\n%s", s[1], s[2])
		}
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

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	compose "github.com/compose-spec/compose-go/v2/types"
)

// deploy/compose/compose.yaml is right for the library that Docker Compose reads it with, and every container has no more
// rights than it needs. That it works is tested in internal/cluster, without containers.
func TestCompose(t *testing.T) {
	project := readProject(t)
	for name, s := range project.Services {
		checkRights(t, name, s)
		checkPlace(t, project, name, s)
		if s.Build != nil {
			file := filepath.Join(s.Build.Context, s.Build.Dockerfile)
			if _, err := os.Stat(file); err != nil || s.Build.Context != must(filepath.Abs("../..")) {
				t.Errorf("%s is built in %s: %v", name, s.Build.Context, err)
			}
		} else if _, tag, _ := strings.Cut(s.Image, ":"); !regexp.MustCompile(`^[0-9]`).MatchString(tag) {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
	}
	if len(project.Services) < 12 {
		t.Errorf("only %d services", len(project.Services))
	}
	setup := must(project.WithProfiles([]string{"setup"})).Services["secrets"]
	if setup.NetworkMode != "none" || setup.Restart != "" {
		t.Errorf("what makes the secrets has network %q and restarts %q", setup.NetworkMode, setup.Restart)
	}
}

func readProject(t *testing.T) *compose.Project {
	t.Helper()
	options := must(cli.NewProjectOptions([]string{"../../deploy/compose/compose.yaml"}, cli.WithInterpolation(true)))
	return must(options.LoadProject(t.Context()))
}

// checkRights wants a container that can do nothing but its work, and comes back.
func checkRights(t *testing.T, name string, s compose.ServiceConfig) {
	t.Helper()
	uid, _, _ := strings.Cut(s.User, ":")
	switch {
	case !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged:
		t.Errorf("%s: read_only %v, cap_drop %v, cap_add %v, privileged %v", name, s.ReadOnly, s.CapDrop, s.CapAdd, s.Privileged)
	case !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
		t.Errorf("%s: security_opt %v", name, s.SecurityOpt)
	case uid == "" || uid == "0" || uid == "root":
		t.Errorf("%s runs as %q", name, s.User)
	case s.Restart != compose.RestartPolicyUnlessStopped:
		t.Errorf("%s: restart %q", name, s.Restart)
	case s.HealthCheck == nil && name != "orders": // which has no program but itself
		t.Errorf("%s has no health check", name)
	}
	for _, v := range s.Volumes {
		if v.Type == compose.VolumeTypeBind && !v.ReadOnly {
			t.Errorf("%s may write %s", name, v.Source)
		}
	}
	for key := range s.Environment {
		if strings.HasSuffix(key, "PASSWORD") || strings.HasSuffix(key, "SECRET") {
			t.Errorf("%s: the secret %s is in the environment", name, key)
		}
	}
	for _, p := range s.Ports {
		if name != "proxy" || p.HostIP != "127.0.0.1" {
			t.Errorf("%s is published at %q", name, p.HostIP)
		}
	}
}

// checkPlace wants the addresses that others are told.
func checkPlace(t *testing.T, project *compose.Project, name string, s compose.ServiceConfig) {
	t.Helper()
	for host, addresses := range s.ExtraHosts {
		for _, network := range project.Services[host].Networks {
			if !slices.Equal(addresses, []string{network.Ipv4Address}) {
				t.Errorf("%s takes %s for %v, and it is %s", name, host, addresses, network.Ipv4Address)
			}
		}
	}
	for _, network := range s.Networks {
		if !strings.HasPrefix(network.Ipv4Address, "10.83.0.") {
			t.Errorf("%s is at %q", name, network.Ipv4Address)
		}
	}
}

// An authd that stops goes on for longer than nginx keeps idle connections, and is not killed before it has drained.
func TestComposeStopsInOrder(t *testing.T) {
	project := readProject(t)
	nginx := string(must(os.ReadFile("../../deploy/compose/nginx.conf")))
	idle := must(time.ParseDuration(regexp.MustCompile(`keepalive_timeout (\S+);`).FindStringSubmatch(nginx)[1]))
	out := must(time.ParseDuration(regexp.MustCompile(`fail_timeout=(\S+);`).FindStringSubmatch(nginx)[1]))
	const drain = 10 * time.Second // authd's default
	for _, name := range []string{"authd-1", "authd-2", "authd-3"} {
		s := project.Services[name]
		delay := must(time.ParseDuration(*s.Environment["AUTHD_SHUTDOWN_DELAY"]))
		if delay < 2*idle || delay < out || s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < delay+drain+5*time.Second {
			t.Errorf("%s stops after %v and is killed after %v; nginx keeps connections for %v and leaves out for %v",
				name, delay, s.StopGracePeriod, idle, out)
		}
		if !strings.Contains(nginx, "server "+name+":8080 ") {
			t.Errorf("nginx does not know %s", name)
		}
	}
}

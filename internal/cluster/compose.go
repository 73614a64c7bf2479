package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// composeFile is what of a compose file matters here. Anything it does not know is refused, so that what is started is
// the file and not a part of it.
type composeFile struct {
	Name     string
	Services map[string]*service
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
	Extensions map[string]any `yaml:",inline"`

	folder string // that relative paths begin at
}

type service struct {
	Image string
	Build struct {
		Context, Dockerfile string
		Args                map[string]string
	}
	Entrypoint  []string
	Command     []string
	Environment map[string]string
	Hostname    string
	Volumes     []string // SOURCE:TARGET[:ro]
	Tmpfs       []string // TARGET[:OPTIONS]
	Secrets     []string
	Ports       []string // HOST:PORT:PORT
	Healthcheck *healthcheck
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Networks    map[string]struct {
		IPv4Address string `yaml:"ipv4_address"`
	}
	NetworkMode     string `yaml:"network_mode"` // service:NAME, or none
	Profiles        []string
	Restart         string
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`

	// What only containers have.
	User        string
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	ExtraHosts  map[string]string `yaml:"extra_hosts"`
}

type healthcheck struct {
	Test        []string // CMD and the program, or CMD-SHELL and a line
	Interval    time.Duration
	Timeout     time.Duration
	Retries     int
	StartPeriod time.Duration `yaml:"start_period"`
}

func readCompose(name string) (*composeFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the compose file: %w", err)
	}
	f := &composeFile{folder: filepath.Dir(name)}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for key := range f.Extensions {
		if !strings.HasPrefix(key, "x-") {
			return nil, fmt.Errorf("%s: %s is not supported", name, key)
		}
	}
	return f, f.check()
}

// check refuses what would only come out when it is used.
func (f *composeFile) check() error {
	for name, s := range f.Services {
		for _, secret := range s.Secrets {
			if _, ok := f.Secrets[secret]; !ok {
				return fmt.Errorf("service %s: no secret %s", name, secret)
			}
		}
		for other, d := range s.DependsOn {
			if f.Services[other] == nil || d.Condition != "service_healthy" {
				return fmt.Errorf("service %s: depends_on %s: want a service, and service_healthy", name, other)
			}
		}
	}
	return nil
}

// subnet is that of the network.
func (f *composeFile) subnet() string {
	for _, n := range f.Networks {
		for _, c := range n.IPAM.Config {
			return c.Subnet
		}
	}
	return ""
}

// runs tells whether a service is started without being asked for.
func (s *service) runs() bool { return len(s.Profiles) == 0 }

// address of the service in the network of the file; empty when it has none of its own.
func (s *service) address() string {
	for _, n := range s.Networks {
		return n.IPv4Address
	}
	return ""
}

// mount is a file or folder that a service sees under target.
type mount struct {
	source string // a file or folder beside the compose file; empty for what is made for the service
	target string
}

func (s *service) mounts() (list []mount) {
	for _, v := range s.Volumes {
		parts := strings.Split(v, ":")
		m := mount{target: parts[1]}
		if strings.HasPrefix(parts[0], ".") {
			m.source = parts[0]
		}
		list = append(list, m)
	}
	for _, t := range s.Tmpfs {
		target, _, _ := strings.Cut(t, ":")
		list = append(list, mount{target: target})
	}
	return list
}

// published returns the addresses under which the host reaches the service: HOST:PORT, the port being the service's own.
func (s *service) published() (list []string, err error) {
	for _, p := range s.Ports {
		parts := strings.Split(p, ":")
		if len(parts) != 3 || parts[1] != parts[2] {
			return nil, fmt.Errorf("port %s: want HOST:PORT:PORT with the same port twice", p)
		}
		list = append(list, parts[0]+":"+parts[1])
	}
	slices.Sort(list)
	return list, nil
}

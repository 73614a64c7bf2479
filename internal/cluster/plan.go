package main

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/authd-project/authd/internal/programs"
)

// place says where on this machine a cluster is.
type place struct {
	folder  string // of all that it writes
	bin     string // folder of authd and orders
	network string // the loopback addresses are NETWORK.N, N as in the compose file
	front   string // address of what the compose file publishes
}

// node is a service, translated to this machine.
type node struct {
	name    string
	service *service
	image   image
	rewrite rewriter
	args    []string // the program and its arguments
	env     map[string]string
	path    string              // PATH of the program and its health check
	as      *syscall.Credential // nil: the user who runs this
	log     string              // file of what it says
}

// newNodes translates the services of a file, those too that are not started by themselves.
func newNodes(f *composeFile, p place) (map[string]*node, error) {
	addresses, err := f.addresses(p)
	if err != nil {
		return nil, err
	}
	published := map[string]string{}
	for name, s := range f.Services {
		list, err := s.published()
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		for _, at := range list {
			_, port, _ := strings.Cut(at, ":")
			published[at] = addresses[name] + ":" + port
		}
	}
	nodes := map[string]*node{}
	for name, s := range f.Services {
		n := &node{name: name, service: s, log: filepath.Join(p.folder, "logs", name)}
		n.rewrite = rewriter{
			addresses: addresses, published: published, own: addresses[name], root: filepath.Join(p.folder, name),
		}
		if host, ok := strings.CutPrefix(s.NetworkMode, "service:"); ok {
			n.rewrite.own = addresses[host]
		}
		for _, m := range s.mounts() {
			n.rewrite.targets = append(n.rewrite.targets, m.target)
		}
		n.rewrite.targets = append(n.rewrite.targets, secretsFolder)
		if err := n.complete(f, p); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		nodes[name] = n
	}
	return nodes, nil
}

// addresses maps the names of the services, and their addresses and network in the file, to those on this machine.
func (f *composeFile) addresses(p place) (map[string]string, error) {
	// Connections between loopback addresses come from 127.0.0.1 unless the program chooses otherwise.
	addresses := map[string]string{f.subnet(): "127.0.0.0/8"}
	for name, s := range f.Services {
		if s.address() == "" {
			continue
		}
		addr, err := netip.ParseAddr(s.address())
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		here := fmt.Sprintf("%s.%d", p.network, addr.As4()[3])
		if len(s.Ports) > 0 {
			here = p.front
		}
		addresses[name], addresses[addr.String()] = here, here
	}
	return addresses, nil
}

// complete finds the node's program, arguments and environment.
func (n *node) complete(f *composeFile, p place) (err error) {
	if n.image, err = f.image(n.service.Image); err != nil {
		return err
	}
	entrypoint, command := n.image.entrypoint, n.image.command
	if n.service.Entrypoint != nil {
		entrypoint = n.service.Entrypoint
	}
	if n.service.Command != nil {
		command = n.service.Command
	}
	n.args = n.rewrite.all(slices.Concat(entrypoint, command))
	n.env = map[string]string{"HOSTNAME": n.rewrite.own}
	for _, env := range []map[string]string{n.image.env, n.service.Environment} {
		for key, value := range env {
			n.env[key] = n.rewrite.all([]string{value})[0]
		}
	}
	n.path = strings.Join([]string{p.bin, os.Getenv("PATH"), "/usr/sbin", "/sbin"}, ":")
	return nil
}

// needed are the programs that the node cannot do without.
func (n *node) needed() []string {
	list := []string{n.args[0]}
	if strings.HasPrefix(n.service.Image, "redis:") {
		list = []string{"redis-server", "redis-cli"}
	}
	if strings.HasPrefix(n.service.Image, "postgres:") {
		list = append(list, "initdb", "pg_isready")
	}
	if h := n.service.Healthcheck; h != nil && h.Test[0] == "CMD" {
		list = append(list, h.Test[1])
	}
	return list
}

// find returns the path of one of the node's programs: of ours in the folder bin, of others where they are installed.
func (n *node) find(program string) (string, error) {
	bin, _, _ := strings.Cut(n.path, ":")
	if name := filepath.Base(program); name == "authd" || name == "orders" {
		return exec.LookPath(filepath.Join(bin, name))
	}
	return programs.Find(program)
}

func (n *node) environ() []string {
	env := []string{"PATH=" + n.path, "HOME=" + n.rewrite.root, "LC_ALL=C", "TZ=UTC"}
	for _, key := range slices.Sorted(maps.Keys(n.env)) {
		env = append(env, key+"="+n.env[key])
	}
	return env
}

const secretsFolder = "/run/secrets"

// makeFolders makes what the node sees under its mounts.
func (n *node) makeFolders(f *composeFile, p place) error {
	if err := os.MkdirAll(n.rewrite.root, throughMode); err != nil {
		return err
	}
	for _, m := range n.service.mounts() {
		if err := n.mount(f, p, m); err != nil {
			return fmt.Errorf("%s: %w", m.target, err)
		}
	}
	for _, secret := range n.service.Secrets {
		text, err := os.ReadFile(filepath.Join(p.folder, f.Secrets[secret].File))
		if err != nil {
			return fmt.Errorf("secret %s: %w", secret, err)
		}
		if err := writeFile(filepath.Join(n.rewrite.root, secretsFolder, secret), text, 0o600); err != nil {
			return fmt.Errorf("secret %s: %w", secret, err)
		}
	}
	return nil
}

func (n *node) mount(f *composeFile, p place, m mount) error {
	target := filepath.Join(n.rewrite.root, m.target)
	if m.source == "" {
		return os.MkdirAll(target, 0o700)
	}
	text, err := os.ReadFile(filepath.Join(f.folder, m.source))
	if err != nil { // a folder beside the compose file, which has its place in the cluster's
		shared := filepath.Join(p.folder, m.source)
		if err := os.MkdirAll(shared, 0o700); err != nil {
			return err
		}
		_ = os.Remove(target) // of an earlier run
		return os.Symlink(shared, target)
	}
	translated := n.rewrite.text(string(text))
	if n.image.configure != nil {
		translated = n.image.configure(n, translated)
	}
	return writeFile(target, []byte(translated), 0o644)
}

func writeFile(name string, text []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), throughMode); err != nil {
		return err
	}
	return os.WriteFile(name, text, mode)
}

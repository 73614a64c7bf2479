package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// cluster is a compose file that runs on this machine. Its methods may be called from several goroutines, but those that
// start and stop a service not for the same one at once.
type cluster struct {
	file  *composeFile
	place place
	nodes map[string]*node
	out   io.Writer // what happens, for a person

	mu       sync.Mutex
	running  map[string]*process // also those that have ended, until they are started again
	stopping map[string]bool     // asked to end
	watchers sync.WaitGroup
	life     context.Context // ends with the cluster
	die      context.CancelFunc
}

// startCluster starts every service of the file, each when those that it depends on are healthy, and returns when all are.
func startCluster(ctx context.Context, f *composeFile, p place, out io.Writer) (*cluster, error) {
	nodes, err := newNodes(f, p)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		file: f, place: p, nodes: nodes, out: out,
		running: map[string]*process{}, stopping: map[string]bool{},
	}
	c.life, c.die = context.WithCancel(context.WithoutCancel(ctx))
	if err := errors.Join(c.missing(), c.taken(ctx)); err != nil {
		return nil, err
	}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	if err := c.startAll(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// missing names all programs that are not installed, and how to get them.
func (c *cluster) missing() error {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[name]
		for _, program := range n.needed() {
			if _, err := n.find(program); err == nil {
				continue
			}
			problem := fmt.Sprintf("%s is missing; build it with: make build", filepath.Base(program))
			if n.image.install != "" {
				problem = fmt.Sprintf("%s is missing; install it with: internal/testenv/install.d/%s", program, n.image.install)
			}
			if !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, "\n"))
}

// taken tells of addresses that somebody else uses.
func (c *cluster) taken(ctx context.Context) error {
	var problems []error
	for _, n := range c.nodes {
		published, _ := n.service.published() // checked before
		for _, at := range published {
			here := n.rewrite.published[at]
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", here)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w; does another cluster run? This one can be elsewhere: "+
					"make cluster FRONT=127.0.0.2 NETWORK=127.84.0", here, err))
				continue
			}
			_ = l.Close()
		}
	}
	return errors.Join(problems...)
}

// prepare makes the secrets and the folders.
func (c *cluster) prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(c.place.folder, "logs"), 0o700); err != nil {
		return err
	}
	for name, n := range c.nodes { // those that are run once, such as the one that makes the secrets
		if n.service.runs() {
			continue
		}
		if err := n.makeFolders(c.file, c.place); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := n.runOnce(ctx, "", n.args[0], n.args[1:]...); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, n := range c.nodes {
		if !n.service.runs() {
			continue
		}
		if err := n.makeFolders(c.file, c.place); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if n.image.prepare != nil {
			if err := n.image.prepare(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (c *cluster) startAll(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	healthy := map[string]chan struct{}{}
	for name := range c.nodes {
		healthy[name] = make(chan struct{})
	}
	for name, n := range c.nodes {
		if !n.service.runs() {
			continue
		}
		g.Go(func() error {
			for other := range n.service.DependsOn {
				select {
				case <-healthy[other]:
				case <-ctx.Done():
					return nil
				}
			}
			if err := c.start(ctx, name); err != nil {
				return err
			}
			c.mu.Lock()
			fmt.Fprint(c.out, " ", name)
			c.mu.Unlock()
			close(healthy[name])
			return nil
		})
	}
	err := g.Wait()
	fmt.Fprintln(c.out)
	if err != nil {
		return err
	}
	return c.awaitPorts()
}

// awaitPorts waits for what is published: a service without a health check may have started and not be there yet.
func (c *cluster) awaitPorts() error {
	for _, n := range c.nodes {
		published, _ := n.service.published() // checked before
		for _, at := range published {
			if err := awaitPort(n.rewrite.published[at]); err != nil {
				return err
			}
		}
	}
	return nil
}

func awaitPort(addr string) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // bounded
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nobody listens: %w", err)
		}
	}
}

// start starts a service, waits until it is healthy, and has it watched.
func (c *cluster) start(ctx context.Context, name string) error {
	n, ok := c.nodes[name]
	if !ok || !n.service.runs() {
		return fmt.Errorf("no service %s; there are %s", name, strings.Join(c.names(), ", "))
	}
	if c.process(name).runs() {
		return fmt.Errorf("%s runs already", name)
	}
	c.mu.Lock()
	if c.life.Err() != nil {
		c.mu.Unlock()
		return errors.New("the cluster has ended")
	}
	p, err := n.start()
	if err == nil {
		c.running[name], c.stopping[name] = p, false
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	c.watchers.Go(func() { c.watch(name, p) })
	return n.awaitHealthy(ctx, p)
}

// watch does what the restart policy says, which is the same for all: a service that ends by itself is started again, one
// that was stopped or killed is not.
func (c *cluster) watch(name string, p *process) {
	const pause = time.Second
	<-p.done
	c.mu.Lock()
	asked := c.stopping[name]
	c.mu.Unlock()
	switch {
	case asked:
	case p.killed():
		fmt.Fprintf(c.out, "%s was killed. To start it again: start %[1]s\n", name)
	default:
		fmt.Fprintf(c.out, "%s ended (%v), and is started again; its log is %s\n", name, p.cmd.ProcessState, c.nodes[name].log)
		select {
		case <-c.life.Done():
			return
		case <-time.After(pause):
		}
		if err := c.start(c.life, name); err != nil {
			fmt.Fprintln(c.out, err)
		}
	}
}

func (c *cluster) process(name string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[name]
}

// names of the services that run, in order.
func (c *cluster) names() (list []string) {
	for name, n := range c.nodes {
		if n.service.runs() {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// stop ends a service in order, as an update would.
func (c *cluster) stop(name string) error { return c.end(name, syscall.SIGTERM) }

// kill ends a service as a power cut would.
func (c *cluster) kill(name string) error { return c.end(name, syscall.SIGKILL) }

func (c *cluster) end(name string, sig syscall.Signal) error {
	p := c.process(name)
	if !p.runs() {
		return fmt.Errorf("%s does not run", name)
	}
	c.mu.Lock()
	c.stopping[name] = true
	c.mu.Unlock()
	const grace = 10 * time.Second // of a container, unless it has one of its own
	p.stop(sig, max(grace, c.nodes[name].service.StopGracePeriod))
	return nil
}

// close ends everything at once, and waits for it.
func (c *cluster) close() {
	c.die()
	c.mu.Lock()
	processes := maps.Clone(c.running)
	for name := range processes {
		c.stopping[name] = true
	}
	c.mu.Unlock()
	var all sync.WaitGroup
	for name, p := range processes {
		all.Go(func() { p.stop(c.nodes[name].image.end, 10*time.Second) })
	}
	all.Wait()
	c.watchers.Wait()
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Somebody to log in as.
const (
	demoUser     = "demo"
	demoPassword = "correct horse battery staple"
)

// addUser makes the demo user, unless the folder is of an earlier run.
func (c *cluster) addUser(ctx context.Context) error {
	out, err := c.authd(ctx, "authd-1", demoPassword+"\n", "user", "add", demoUser)
	if err != nil && !strings.Contains(out, "exists") {
		return fmt.Errorf("adding a user: %w\n%s", err, out)
	}
	return nil
}

// authd runs a command of authd where a service runs, as `docker compose exec` does.
func (c *cluster) authd(ctx context.Context, name, stdin string, args ...string) (string, error) {
	n, ok := c.nodes[name]
	if !ok {
		return "", fmt.Errorf("no service %s", name)
	}
	path, err := n.find("authd")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = n.rewrite.root, n.environ(), strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// roles of the services, as far as they change.
func (c *cluster) role(ctx context.Context, name string) string {
	n := c.nodes[name]
	switch {
	case !c.process(name).runs():
		return "down"
	case strings.HasPrefix(name, "authd-"):
		if c.leads(ctx, name) {
			return "leads"
		}
		return "follows"
	case strings.HasPrefix(name, "redis-"):
		if c.primary(ctx) == n.rewrite.own {
			return "primary"
		}
		return "replica"
	}
	return ""
}

// leads tells whether an authd says that it leads.
func (c *cluster) leads(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.nodes[name].env["AUTHD_ADMIN_LISTEN"]+"/leader", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var leader struct{ Self bool }
	return json.NewDecoder(resp.Body).Decode(&leader) == nil && leader.Self
}

// leader returns the authd that leads; empty when none does.
func (c *cluster) leader(ctx context.Context) string {
	for _, name := range c.names() {
		if strings.HasPrefix(name, "authd-") && c.process(name).runs() && c.leads(ctx, name) {
			return name
		}
	}
	return ""
}

// primary returns the address of the Redis that a sentinel takes for the primary.
func (c *cluster) primary(ctx context.Context) string {
	for _, name := range c.names() {
		if !strings.HasPrefix(name, "sentinel-") || !c.process(name).runs() {
			continue
		}
		n := c.nodes[name]
		cmd := exec.CommandContext(ctx, "redis-cli", "-h", n.rewrite.own, "-p", "26379", "sentinel", "get-master-addr-by-name", "authd")
		if out, err := cmd.Output(); err == nil {
			host, _, _ := bytes.Cut(out, []byte("\n"))
			return string(host)
		}
	}
	return ""
}

// introduce tells a person what there is.
func (c *cluster) introduce(ctx context.Context, w io.Writer) {
	c.table(ctx, w)
	fmt.Fprintf(w, `
  authd       http://%[1]s:8080          login page at /login, API at /v1
  orders      http://%[1]s:8000/orders   behind nginx, which asks authd
              http://%[1]s:9090/orders   by itself, with the middleware
  log in as   %[2]s, password %[3]q
  logs        %[4]s/logs

%[5]s

`, c.place.front, demoUser, demoPassword, c.place.folder, commandsHelp)
}

const commandsHelp = `Type
  status                  who runs, who leads
  kill NAME               as a power cut would; NAME may be leader or primary (kill -9 PID elsewhere is the same)
  stop NAME               in order, as an update would
  start NAME, start all   what was killed or stopped
  roll                    restart each authd in turn
  authd-1 keys list       any command of authd
  quit                    or Ctrl-C: end everything, leave nothing behind`

// table tells who runs where.
func (c *cluster) table(ctx context.Context, out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\n  SERVICE\tADDRESS\tPID\t")
	for _, name := range c.names() {
		pid := "-"
		if p := c.process(name); p.runs() {
			pid = fmt.Sprint(p.cmd.Process.Pid)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", name, c.nodes[name].address(), pid, c.role(ctx, name))
	}
	_ = w.Flush() // a person's terminal
}

// address is where the node listens, for a person.
func (n *node) address() string {
	port := map[string]string{"authd": "8080", "redis": "6379", "postgres": "5432", "nginx": "8080", "authd-orders": "9090"}
	image, _, _ := strings.Cut(n.service.Image, ":")
	if strings.HasPrefix(n.name, "sentinel-") {
		return net.JoinHostPort(n.rewrite.own, "26379")
	}
	return net.JoinHostPort(n.rewrite.own, port[image])
}

// prompt says that a line is awaited.
const prompt = "> "

// console does what a person types.
type console struct {
	*cluster
	out io.Writer
}

// run does one line after another until quit, or ctx ends. The end of the input is no end: it may be /dev/null.
func (c *console) run(ctx context.Context, in io.Reader) error {
	lines := make(chan string)
	go func() { // ends with the program: nothing else ends a read of a terminal
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		fmt.Fprint(c.out, prompt)
		select {
		case <-ctx.Done():
			fmt.Fprintln(c.out, "\nEnding everything.")
			return nil
		case line := <-lines:
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			if words[0] == "quit" {
				return nil
			}
			if err := c.do(ctx, words); err != nil {
				fmt.Fprintln(c.out, err)
			}
		}
	}
}

func (c *console) do(ctx context.Context, words []string) error {
	if strings.HasPrefix(words[0], "authd-") {
		out, err := c.authd(ctx, words[0], "", words[1:]...)
		fmt.Fprint(c.out, out)
		return err
	}
	if words[0] == "status" {
		c.table(ctx, c.out)
		return nil
	}
	if words[0] == "roll" {
		return c.roll(ctx, c.out)
	}
	act, did := c.action(words[0])
	if act == nil || len(words) != 2 {
		fmt.Fprintln(c.out, commandsHelp)
		return nil
	}
	names := []string{c.resolve(ctx, words[1])}
	if words[0] == "start" && words[1] == "all" {
		names = slices.DeleteFunc(c.names(), func(name string) bool { return c.process(name).runs() })
	}
	for _, name := range names {
		if err := act(ctx, name); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: %s\n", name, did)
	}
	return nil
}

// action returns what a word does to a service, and what has happened then.
func (c *console) action(word string) (act func(context.Context, string) error, did string) {
	switch word {
	case "kill":
		return func(_ context.Context, name string) error { return c.kill(name) }, "killed"
	case "stop":
		return func(_ context.Context, name string) error { return c.stop(name) }, "stopped"
	case "start":
		return c.start, "runs"
	}
	return nil, ""
}

// resolve finds the service that is meant by its role.
func (c *cluster) resolve(ctx context.Context, name string) string {
	switch name {
	case "leader":
		return c.leader(ctx)
	case "primary":
		addr := c.primary(ctx)
		for _, other := range c.names() {
			if n := c.nodes[other]; n.rewrite.own == addr && n.service.address() != "" {
				return other
			}
		}
	}
	return name
}

// roll restarts each authd in turn, as an update does: in order, and the next one when the one before is ready.
func (c *cluster) roll(ctx context.Context, w io.Writer) error {
	for _, name := range c.names() {
		if !strings.HasPrefix(name, "authd-") {
			continue
		}
		began := time.Now()
		if err := c.stop(name); err != nil {
			return err
		}
		if err := c.start(ctx, name); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: restarted in %.1f s\n", name, time.Since(began).Seconds())
	}
	return nil
}

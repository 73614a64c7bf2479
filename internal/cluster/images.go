package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/authd-project/authd/internal/programs"
)

// image is what stands for a container image on this machine.
type image struct {
	entrypoint []string
	command    []string          // where the service has none
	env        map[string]string // of the image
	install    string            // the script of internal/testenv/install.d
	end        syscall.Signal    // ends it at once, and all its processes
	// Optional; prepare makes what the image's own entry point would, configure changes the text of a mounted file.
	prepare   func(ctx context.Context, n *node) error
	configure func(n *node, text string) string
}

// images knows those of the compose file, by their name without a tag.
func (f *composeFile) image(name string) (image, error) {
	switch name, _, _ := strings.Cut(name, ":"); name {
	case "authd":
		return f.authdImage()
	case "authd-orders":
		return image{entrypoint: []string{"orders"}, end: syscall.SIGKILL}, nil
	case "redis":
		return image{install: "redis.sh", end: syscall.SIGKILL}, nil
	case "postgres":
		return image{install: "postgres.sh", end: syscall.SIGQUIT, prepare: initializeDatabase}, nil
	case "nginx":
		return image{install: "proxies.sh", end: syscall.SIGTERM, configure: listenAtHome, prepare: keepRoot}, nil
	}
	return image{}, fmt.Errorf("no program here stands for the image %s", name)
}

// authdImage reads what the Dockerfile says of the image.
func (f *composeFile) authdImage() (image, error) {
	i := image{entrypoint: []string{"authd"}, command: []string{"serve"}, env: map[string]string{}, end: syscall.SIGKILL}
	text, err := os.ReadFile(filepath.Join(f.folder, "../Dockerfile"))
	if err != nil {
		return image{}, fmt.Errorf("reading the image's Dockerfile: %w", err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV (\w+)=(\S+)$`).FindAllSubmatch(text, -1) {
		i.env[string(m[1])] = string(m[2])
	}
	return i, nil
}

// listenAtHome gives a port of nginx an address: in a container it would be all there are.
func listenAtHome(n *node, text string) string {
	return regexp.MustCompile(`\blisten ([0-9]+);`).ReplaceAllString(text, "listen "+n.rewrite.own+":$1;")
}

// keepRoot lets nginx's workers, which it would run as nobody, use the folder.
func keepRoot(_ context.Context, n *node) error {
	if os.Getuid() == 0 {
		n.args = append(n.args, "-g", "user root; daemon off;")
	} else {
		n.args = append(n.args, "-g", "daemon off;")
	}
	return nil
}

// initializeDatabase does what the entry point of the image postgres does at the first start.
func initializeDatabase(ctx context.Context, n *node) (err error) {
	if n.as, err = programs.Unprivileged(); err != nil {
		return err
	}
	n.args = append(n.args, "-c", "unix_socket_directories=")
	data := n.env["PGDATA"]
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	if err := n.give(n.rewrite.root); err != nil {
		return err
	}
	args := append(strings.Fields(n.env["POSTGRES_INITDB_ARGS"]), "--pgdata", data, "--username", n.env["POSTGRES_USER"],
		"--pwfile", n.env["POSTGRES_PASSWORD_FILE"], "--no-sync")
	if err := n.runOnce(ctx, "", "initdb", args...); err != nil {
		return err
	}
	return n.runOnce(ctx, "CREATE DATABASE "+n.env["POSTGRES_DB"]+";\n", "postgres", "--single", "-D", data, "postgres")
}

// give makes the node's user the owner of a folder and all that is in it.
func (n *node) give(folder string) error {
	if n.as == nil {
		return nil
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, int(n.as.Uid), int(n.as.Gid))
	})
}

// runOnce runs a program of the node's image to its end.
func (n *node) runOnce(ctx context.Context, stdin, program string, args ...string) error {
	path, err := programs.Find(program)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = n.rewrite.root, n.environ(), strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: n.as, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, bytes.TrimSpace(out))
	}
	return nil
}

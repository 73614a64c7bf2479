// Command cluster starts the services of deploy/compose/compose.yaml on this machine without containers, from programs that
// are installed: `make cluster`. So what the file says can be tried and tested where no container engine is.
//
// It reads the file itself. The image of a service stands for a program here (images.go); command, environment, mounts,
// secrets, dependencies and health checks are those of the file, with addresses and paths translated (rewrite.go): each
// service listens on a loopback address of its own, on the port that the file says, and finds what is mounted in a folder
// that stands for its root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); {
	case errors.Is(err, flag.ErrHelp), err != nil && ctx.Err() != nil:
	case err != nil:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run starts a cluster and does what lines of in say, until ctx ends or somebody says quit.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	file := flags.String("file", "deploy/compose/compose.yaml", "compose file")
	var p place
	flags.StringVar(&p.bin, "bin", "bin", "folder of authd and orders")
	flags.StringVar(&p.folder, "folder", "", "folder of all data, which is kept (default: a temporary one, which is not)")
	flags.StringVar(&p.network, "network", "127.83.0", "the first three numbers of the services' loopback addresses")
	flags.StringVar(&p.front, "front", "127.0.0.1", "address that nginx listens on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := readCompose(*file)
	if err != nil {
		return err
	}
	remove, err := p.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	fmt.Fprint(out, "Starting:")
	c, err := startCluster(ctx, f, p, out)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.addUser(ctx); err != nil {
		return err
	}
	c.introduce(ctx, out)
	return (&console{c, out}).run(ctx, in)
}

// throughMode lets everybody through a folder: PostgreSQL may run as another user, who has to get to its own.
const throughMode = 0o711

// open completes the place. remove ends the use of its folder.
func (p *place) open() (remove func() error, err error) {
	if p.bin, err = filepath.Abs(p.bin); err != nil {
		return nil, err
	}
	if p.folder != "" {
		p.folder, err = filepath.Abs(p.folder)
		return func() error { return nil }, err
	}
	if p.folder, err = os.MkdirTemp("", "authd-cluster-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(p.folder, throughMode); err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(p.folder) }, nil
}

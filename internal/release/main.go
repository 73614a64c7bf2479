// Command release makes what is published of authd, without a container engine:
//
//	release licences             the licence of each module that authd links; fails on one that is not allowed
//	release image -o FOLDER      an OCI image layout for linux/amd64 and linux/arm64, each with its SBOM
//	release rootfs -o FOLDER     the files of one platform's image, for deploy/Dockerfile
//	release reproduce            builds authd twice, with nothing in common but the source, and compares the bytes
//
// The same source gives the same bytes, wherever and whenever it is built, with the same release of Go: what could
// differ is an argument (the version, the time) or pinned by go.sum (the modules, the certificates).
//
// It is a module of its own, so that the libraries it needs stay out of authd's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("want one of: licences, image, rootfs, reproduce")
	}
	command, args := args[0], args[1:]
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	var s source
	var output, arch string
	flags.StringVar(&s.folder, "source", "../..", "folder of authd's source")
	flags.StringVar(&s.version, "version", "", "authd's version (default: what git describe says)")
	flags.StringVar(&output, "o", "", "folder to write")
	flags.StringVar(&arch, "arch", "amd64", "of rootfs and reproduce: amd64 or arm64")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if command == "licences" {
		return reportLicences(ctx, s, stdout)
	}
	if output == "" && command != "reproduce" {
		return fmt.Errorf("%s: -o is required", command)
	}
	if err := s.complete(ctx, getenv); err != nil {
		return err
	}
	switch command {
	case "reproduce":
		return reproduce(ctx, s, arch, stdout)
	case "image":
		return writeImage(ctx, s, output, stdout)
	case "rootfs":
		return writeRootFS(ctx, s, arch, output)
	default:
		return fmt.Errorf("%q: want one of: licences, image, rootfs, reproduce", command)
	}
}

// source is what is released.
type source struct {
	folder   string
	version  string
	revision string    // of the commit; empty outside a repository
	time     time.Time // stands in the image wherever there is a time
	cache    string    // of the go command; empty for the usual one
}

// complete fills what was not given from git: the version, the commit, and the time of the commit, which
// SOURCE_DATE_EPOCH (Unix seconds) overrides.
func (s *source) complete(ctx context.Context, getenv func(string) string) error {
	if s.version == "" {
		s.version, _ = git(ctx, s.folder, "describe", "--tags", "--always", "--dirty")
	}
	s.revision, _ = git(ctx, s.folder, "rev-parse", "HEAD")
	epoch := getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		epoch, _ = git(ctx, s.folder, "log", "-1", "--format=%ct")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	switch {
	case s.version == "":
		return fmt.Errorf("-version is required, as %s is no git repository", s.folder)
	case err != nil:
		return fmt.Errorf("SOURCE_DATE_EPOCH %q: want Unix seconds; there is no commit to take the time of", epoch)
	}
	s.time = time.Unix(seconds, 0).UTC()
	return nil
}

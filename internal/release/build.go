package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// platforms are the architectures of the image, in the order of its index.
var platforms = []string{"amd64", "arm64"}

// build compiles authd for linux on arch into the file out. The Makefile builds with the same flags.
//
// No path of this machine, no state of the repository and no build ID goes into the program: -trimpath, -buildvcs=false and
// -buildid= see to that. The version comes in by argument.
func build(ctx context.Context, s source, arch, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	_, err = goCommand(ctx, s, arch, "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+s.version, "-o", out, "./cmd/authd")
	if err != nil {
		return fmt.Errorf("building authd for %s: %w", arch, err)
	}
	return nil
}

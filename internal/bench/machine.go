package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// machine is what the numbers depend on.
type machine struct {
	processor string
	cores     int
	system    string
	golang    string
	redis     string
}

func describeMachine(ctx context.Context) (machine, error) {
	said, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return machine{}, fmt.Errorf("asking redis-server for its version (internal/testenv/install.sh installs it): %w", err)
	}
	_, version, _ := strings.Cut(string(said), "v=")
	version, _, _ = strings.Cut(version, " ")
	return machine{
		processor: processorName(), cores: runtime.NumCPU(), system: runtime.GOOS + "/" + runtime.GOARCH,
		golang: runtime.Version(), redis: version,
	}, nil
}

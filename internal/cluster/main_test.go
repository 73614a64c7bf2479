package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// shared is the cluster of the tests that need one: starting it takes longer than they do.
var shared *cluster

// binaries holds authd and orders.
var binaries string

// testPlace is apart from other clusters on the machine.
var testPlace = place{network: fmt.Sprintf("127.%d.%d", 90+os.Getpid()%100, os.Getpid()/100%250)}

const composePath = "../../deploy/compose/compose.yaml"

// fastKeys rotates every twelve seconds, and leaves a busy machine time for everything.
var fastKeys = map[string]string{
	"AUTHD_ROTATE_EVERY": "12s", "AUTHD_PUBLISH_AHEAD": "11s", "AUTHD_JWKS_MAX_AGE": "2s", "AUTHD_JWKS_OVERSTAY": "1ms",
	"AUTHD_VIEW_AGE": "6s", "AUTHD_SKEW": "1s", "AUTHD_ACCESS_TTL": "12s", "AUTHD_REFRESH_GRACE": "5s", "AUTHD_LEEWAY": "1s",
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "authd-cluster-test-")
		if err == nil {
			err = os.Chmod(folder, throughMode)
		}
		if err == nil {
			defer os.RemoveAll(folder)
			err = startShared(folder)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		shared.close()
		if err := errors.Join(leftovers(folder), goleak.Find()); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func startShared(folder string) error {
	binaries = filepath.Join(folder, "bin")
	// As the tests of cmd/authd build it, so that there is something to share.
	build := exec.Command("go", "build", "-race", "-o", binaries+"/", "./cmd/authd", "./examples/orders")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	f, err := readCompose(composePath)
	if err != nil {
		return err
	}
	for _, name := range authds {
		maps.Copy(f.Services[name].Environment, fastKeys)
	}
	p := testPlace
	p.folder, p.bin, p.front = filepath.Join(folder, "cluster"), binaries, p.network+".10"
	if err := os.Mkdir(p.folder, throughMode); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if shared, err = startCluster(ctx, f, p, &said); err != nil {
		return err
	}
	if err := shared.addUser(ctx); err != nil {
		shared.close()
		return err
	}
	return nil
}

var authds = []string{"authd-1", "authd-2", "authd-3"}

// said is what the shared cluster told its user.
var said lockedBuffer

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// showLogs tells, when a test has failed, what the programs said that matter to it.
func showLogs(t *testing.T, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, name := range names {
			t.Logf("log of %s ends:\n%s", name, strings.TrimSpace(shared.nodes[name].lastWords()))
		}
	})
}

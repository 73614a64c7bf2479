package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Helm runs helm as the user of a kubeconfig and returns what it prints; what it says of errors is in the error. An empty
// kubeconfig is for what needs no server, such as `helm template`.
func Helm(t testing.TB, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	binary, err := helmPath()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir() // its caches go with the test
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+home, "XDG_CACHE_HOME="+home)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // it is wrapped by nobody
		err = fmt.Errorf("helm %s: %w: %s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// helmPath returns where install.d/helm.sh has put it.
func helmPath() (string, error) {
	dir, err := pinnedDir("helm")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "helm")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("helm is not installed: %w; run internal/testenv/install.sh (make test does)", err)
	}
	return path, nil
}

// KubernetesTools returns a folder with kubectl and helm, for the path of scripts.
func KubernetesTools(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	kubectl, err := assetPath("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	helm, err := helmPath()
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"kubectl": kubectl, "helm": helm} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

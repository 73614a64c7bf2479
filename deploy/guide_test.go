package deploy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/kubernetes.md print what it says.
func TestKubernetesGuide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deploy, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	shell := docs.Shell{Dir: dir, Env: []string{
		"KUBECONFIG=" + testenv.Kubernetes(t).Kubeconfig, "XDG_CACHE_HOME=" + dir,
		"PATH=" + testenv.KubernetesTools(t) + string(os.PathListSeparator) + os.Getenv("PATH"),
	}}
	shell.Run(t, docs.Steps(t, "docs/kubernetes.md"))
}

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
	s := testenv.Kubernetes(t)
	dir := t.TempDir()
	deploy, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CACHE_HOME=" + dir, "KUBECONFIG=" + s.Kubeconfig,
		"PATH=" + testenv.KubernetesTools(t) + string(os.PathListSeparator) + os.Getenv("PATH")}
	docs.Shell{Dir: dir, Env: env}.Run(t, docs.Steps(t, "docs/kubernetes.md"))
}

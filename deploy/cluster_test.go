package deploy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/internal/testenv"
)

// cluster is a namespace of a real API server, and who asks there.
type cluster struct {
	*testenv.KubernetesServer
	namespace  string
	kubeconfig string
}

// newCluster makes a namespace in which the API server takes only pods of the restricted profile.
func newCluster(t *testing.T) cluster {
	t.Helper()
	s := testenv.Kubernetes(t)
	c := cluster{s, s.Namespace(t), s.Kubeconfig}
	c.must(t, http.MethodPatch, "/api/v1/namespaces/"+c.namespace, object{"metadata": object{"labels": object{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}})
	return c
}

// as is the same namespace for a ServiceAccount of it.
func (c cluster) as(t *testing.T, account string) cluster {
	t.Helper()
	c.kubeconfig = c.TokenKubeconfig(t, c.token(t, account))
	return c
}

// token is what the kubelet would give to a pod of a ServiceAccount.
func (c cluster) token(t *testing.T, account string) string {
	t.Helper()
	answer := c.must(t, http.MethodPost, "/api/v1/namespaces/"+c.namespace+"/serviceaccounts/"+account+"/token",
		object{"spec": object{"expirationSeconds": 3600}})
	return answer["status"].(map[string]any)["token"].(string)
}

// do sends a request and returns the answer, which may be one that something is wrong.
func (c cluster) do(t *testing.T, method, path string, body any) (status int, answer map[string]any) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &answer); err != nil { // a kind that it does not know is no page that it has
		answer = map[string]any{"message": string(content)}
	}
	return resp.StatusCode, answer
}

// must is do where nothing may be wrong.
func (c cluster) must(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := c.do(t, method, path, body)
	if status >= http.StatusBadRequest {
		t.Fatalf("%s %s: %d: %v", method, path, status, answer["message"])
	}
	return answer
}

// paths of the objects that matter here, below the namespace.
const (
	ringSecret  = "/api/v1/namespaces/NS/secrets/authd-keys"
	leaderLease = "/apis/coordination.k8s.io/v1/namespaces/NS/leases/authd-leader"
	deployment  = "/apis/apps/v1/namespaces/NS/deployments/authd"
	configMap   = "/api/v1/namespaces/NS/configmaps/authd"
)

// at puts the namespace in a path.
func (c cluster) at(path string) string { return strings.Replace(path, "NS", c.namespace, 1) }

// get returns an object, or nil when there is none.
func (c cluster) get(t *testing.T, path string) map[string]any {
	t.Helper()
	status, answer := c.do(t, http.MethodGet, c.at(path), nil)
	switch status {
	case http.StatusOK:
		return answer
	case http.StatusNotFound:
		return nil
	}
	t.Fatalf("GET %s: %d: %v", path, status, answer["message"])
	return nil
}

// into returns an object as what it is.
func into[T any](t *testing.T, c cluster, path string) (o T) {
	t.Helper()
	found := c.get(t, path)
	if found == nil {
		t.Fatalf("there is no %s", path)
	}
	strictly(t, found, &o)
	return o
}

// helm runs helm in the namespace.
func (c cluster) helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := testenv.Helm(t, c.kubeconfig, append(args, "--namespace", c.namespace)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// values names the values of a mode, and further ones.
func values(mode string, set ...string) []string {
	return slices.Concat([]string{"--values", filepath.Join(chart, "ci", mode+".yaml")}, flags(set))
}

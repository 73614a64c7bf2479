package testenv_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/internal/testenv"
)

// The file that is installed is the one that gives the tests of the election and of the key ring their rights. Applied
// again it leaves ring and leader alone.
func TestKubectlAppliesRBAC(t *testing.T) {
	s := testenv.Kubernetes(t)
	namespace := s.Namespace(t)
	kubectl := func(args ...string) string {
		out, err := s.Kubectl(t, s.Kubeconfig, append(args, "--namespace", namespace)...)
		if err != nil {
			t.Fatalf("kubectl %v: %v\n%s", args, err, out)
		}
		return out
	}
	if out := kubectl("apply", "-f", "../../deploy/rbac.yaml"); strings.Count(out, "created") != 5 {
		t.Errorf("want 5 objects created:\n%s", out)
	}
	kubectl("patch", "secret", "authd-keys", "-p", `{"data": {"ring": "cmluZw=="}}`)
	kubectl("patch", "lease", "authd-leader", "--type=merge", "-p", `{"spec": {"holderIdentity": "a"}}`)
	if out := kubectl("apply", "-f", "../../deploy/rbac.yaml"); strings.Count(out, "unchanged") != 5 {
		t.Errorf("want 5 objects unchanged:\n%s", out)
	}
	ring := kubectl("get", "secret", "authd-keys", "-o", "jsonpath={.data.ring}")
	holder := kubectl("get", "lease", "authd-leader", "-o", "jsonpath={.spec.holderIdentity}")
	if ring != "cmluZw==" || holder != "a" {
		t.Errorf("ring %q, holder %q after it was applied again", ring, holder)
	}
}

// authd may do what its election and its key ring need, and nothing else.
func TestRBAC(t *testing.T) {
	s := testenv.Kubernetes(t)
	mine, kubeconfig := s.Authd(t)
	other := s.Namespace(t)
	s.Apply(t, other)
	const (
		core   = "/api/v1/namespaces/NS"
		leases = "/apis/coordination.k8s.io/v1/namespaces/NS/leases"
		roles  = "/apis/rbac.authorization.k8s.io/v1/namespaces/NS"
		only   = "?fieldSelector=metadata.name%3Dauthd-keys"
	)
	for _, tt := range []struct {
		method, path, namespace string
		want                    int
	}{
		{"GET", leases + "/authd-leader", mine, http.StatusOK},
		{"GET", core + "/secrets/authd-keys", mine, http.StatusOK},
		{"GET", core + "/secrets" + only + "&watch=1&timeoutSeconds=1", mine, http.StatusOK},

		{"GET", core + "/secrets", mine, http.StatusForbidden},
		{"GET", core + "/secrets" + only, mine, http.StatusForbidden},
		{"GET", core + "/secrets?watch=1&timeoutSeconds=1", mine, http.StatusForbidden},
		{"GET", leases, mine, http.StatusForbidden},
		{"GET", leases + "?watch=1&timeoutSeconds=1", mine, http.StatusForbidden},
		{"POST", core + "/secrets", mine, http.StatusForbidden},
		{"POST", leases, mine, http.StatusForbidden},
		{"PUT", core + "/secrets/other", mine, http.StatusForbidden},
		{"PUT", leases + "/other", mine, http.StatusForbidden},
		{"PATCH", core + "/secrets/authd-keys", mine, http.StatusForbidden},
		{"PATCH", leases + "/authd-leader", mine, http.StatusForbidden},
		{"DELETE", core + "/secrets/authd-keys", mine, http.StatusForbidden},
		{"DELETE", leases + "/authd-leader", mine, http.StatusForbidden},
		{"GET", core + "/secrets/authd-keys", other, http.StatusForbidden},
		{"PUT", core + "/secrets/authd-keys", other, http.StatusForbidden},
		{"GET", leases + "/authd-leader", other, http.StatusForbidden},
		{"GET", core + "/pods", mine, http.StatusForbidden},
		{"GET", core + "/configmaps", mine, http.StatusForbidden},
		{"GET", "/api/v1/nodes", mine, http.StatusForbidden},
		{"POST", core + "/serviceaccounts/authd/token", mine, http.StatusForbidden},
		{"POST", "/apis/authentication.k8s.io/v1/tokenreviews", mine, http.StatusForbidden},
		{"POST", roles + "/rolebindings", mine, http.StatusForbidden},
		{"POST", roles + "/roles", mine, http.StatusForbidden},
		{"POST", core + "/events", mine, http.StatusForbidden},
	} {
		path := strings.Replace(tt.path, "NS", tt.namespace, 1)
		if got := status(t, kubeconfig, tt.method, path); got != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.method, path, got, tt.want)
		}
	}
	if got := status(t, s.TokenKubeconfig(t, "none"), "GET", "/api"); got != http.StatusUnauthorized {
		t.Errorf("a bad token: status %d, want 401", got)
	}
}

// status sends one request as the user of a kubeconfig.
func status(t *testing.T, kubeconfig, method, path string) int {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// A frozen server answers nothing, until it thaws.
func TestKubernetesFreezes(t *testing.T) {
	s := testenv.Kubernetes(t)
	s.Freeze(t)
	if out, err := s.Kubectl(t, s.Kubeconfig, "get", "--raw", "/readyz", "--request-timeout", "500ms"); err == nil {
		t.Errorf("a frozen server answered %s", out)
	}
	s.Thaw(t)
	if out, err := s.Kubectl(t, s.Kubeconfig, "get", "--raw", "/readyz"); err != nil || out != "ok" {
		t.Errorf("a server that goes on answered %s, %v", out, err)
	}
}

// A server ends with the process of its test, even when that is killed while the server is frozen.
func TestKubernetesEndsWithTheProcess(t *testing.T) {
	const asHelper = "AUTHD_TEST_KUBERNETES_HELPER"
	if os.Getenv(asHelper) != "" {
		s := testenv.Kubernetes(t)
		s.Freeze(t)
		fmt.Printf("\nserver %s %s\n", s.Addr, filepath.Dir(s.Kubeconfig))
		select {}
	}
	helper := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKubernetesEndsWithTheProcess$")
	helper.Env = append(os.Environ(), asHelper+"=1")
	stdout, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	var addr, folder string
	for lines := bufio.NewScanner(stdout); addr == "" && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "server %s %s", &addr, &folder) // other lines are the test's own
	}
	if !listens(addr) {
		t.Fatalf("there is no server on %q", addr)
	}
	_ = helper.Process.Kill()
	_ = helper.Wait() // "signal: killed"
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) && !listens(addr) {
			return
		}
	}
	t.Errorf("the server or its files are still there after %v", patience)
}

// listens tells whether there is a server, be it a frozen one.
func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

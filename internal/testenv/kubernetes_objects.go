package testenv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Namespace makes a namespace. It stays as long as the server does.
func (s *KubernetesServer) Namespace(t testing.TB) string {
	t.Helper()
	var created struct{ Metadata struct{ Name string } }
	s.create(t, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"generateName": "test-"}}, &created)
	return created.Metadata.Name
}

// Authd makes a namespace that holds what deploy/rbac.yaml says, and a file with which to be authd's ServiceAccount there.
func (s *KubernetesServer) Authd(t testing.TB) (namespace, kubeconfig string) {
	t.Helper()
	namespace = s.Namespace(t)
	s.Apply(t, namespace)
	var request struct{ Status struct{ Token string } }
	s.create(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts/authd/token", map[string]any{
		"spec": map[string]any{"expirationSeconds": 3600},
	}, &request)
	kubeconfig = filepath.Join(t.TempDir(), "authd.kubeconfig")
	if err := s.writeKubeconfig(kubeconfig, namespace, map[string]any{"token": request.Status.Token}); err != nil {
		t.Fatal(err)
	}
	return namespace, kubeconfig
}

// Apply makes what of deploy/rbac.yaml is not in a namespace yet. It is a kubectl apply without the half second that
// kubectl takes to start.
func (s *KubernetesServer) Apply(t testing.TB, namespace string) {
	t.Helper()
	path, err := repositoryFile("deploy/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for documents := yaml.NewDecoder(file); ; {
		var object map[string]any
		if err := documents.Decode(&object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s.create(t, collection(object, namespace), object, nil)
	}
}

// collection is where objects of a kind are made.
func collection(object map[string]any, namespace string) string {
	root := "/apis/" + fmt.Sprint(object["apiVersion"])
	if object["apiVersion"] == "v1" {
		root = "/api/v1"
	}
	return root + "/namespaces/" + namespace + "/" + strings.ToLower(fmt.Sprint(object["kind"])) + "s"
}

// create makes an object, unless it is there already, and fills in what the server has made of it.
func (s *KubernetesServer) create(t testing.TB, path string, object, created any) {
	t.Helper()
	answer, err := s.do(http.MethodPost, path, object)
	var status statusError
	if errors.As(err, &status) && status.code == http.StatusConflict && created == nil {
		return
	}
	if err != nil {
		t.Fatalf("making a Kubernetes object: %v", err)
	}
	if created == nil {
		return
	}
	if err := json.Unmarshal(answer, created); err != nil {
		t.Fatalf("making a Kubernetes object: %v", err)
	}
}

// statusError is an answer that is no success.
type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return e.text }

// do sends one request as administrator.
func (s *KubernetesServer) do(method, path string, body any) ([]byte, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, "https://"+s.Addr+path, bytes.NewReader(content)) //nolint:noctx // it ends with the server
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.admin.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, statusError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, answer)}
	}
	return answer, nil
}

// Kubectl runs kubectl as the user of a kubeconfig and returns all that it prints; the error is that of its exit code.
func (s *KubernetesServer) Kubectl(t testing.TB, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	kubectl, err := assetPath("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+t.TempDir()) // its caches go with the test
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TokenKubeconfig makes a file with which to use the server with a bearer token.
func (s *KubernetesServer) TokenKubeconfig(t testing.TB, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token.kubeconfig")
	if err := s.writeKubeconfig(path, "default", map[string]any{"token": token}); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeKubeconfig writes a file for kubectl and client-go, as JSON, which they read too.
func (s *KubernetesServer) writeKubeconfig(path, namespace string, user map[string]any) error {
	const name = "test"
	content, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": "https://" + s.Addr, "certificate-authority-data": s.caPEM,
		}}},
		"users": []any{map[string]any{"name": name, "user": user}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{
			"cluster": name, "user": name, "namespace": namespace,
		}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

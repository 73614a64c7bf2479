package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// patience bounds what an emulator on a busy machine may take.
const patience = 5 * time.Minute

// checkLogin starts what the image has, in nothing but the image's files and as its user, and logs in there and out.
func checkLogin(t *testing.T, image v1.Image, root, arch, version string) {
	t.Helper()
	config := must(image.ConfigFile()).Config
	out, err := inImage(t, config, root, arch, "version").Output()
	if want := "authd " + version + " " + runtime.Version() + " linux/" + arch + "\n"; err != nil || string(out) != want {
		t.Fatalf("version: %q, %v, want %q", out, err, want)
	}
	url, terminate := startImage(t, inImage(t, config, root, arch, "serve", "--demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"))

	var granted struct {
		AccessToken string `json:"access_token"`
	}
	login := `{"username":"demo","password":"correct horse battery staple"}`
	if status := call(t, http.MethodPost, url+"/v1/login", "", login, &granted); status != http.StatusOK {
		t.Fatalf("login: %d", status)
	}
	var me struct{ Username string }
	if status := call(t, http.MethodGet, url+"/v1/me", granted.AccessToken, "", &me); status != http.StatusOK || me.Username != "demo" {
		t.Errorf("me: %d, %q", status, me.Username)
	}
	if status := call(t, http.MethodPost, url+"/v1/logout", granted.AccessToken, "", nil); status != http.StatusNoContent {
		t.Errorf("logout: %d", status)
	}
	if status := call(t, http.MethodGet, url+"/v1/me", granted.AccessToken, "", nil); status != http.StatusUnauthorized {
		t.Errorf("me after the logout: %d", status)
	}
	terminate()
}

// inImage is a command of the image, run as a container engine would: the image's files are all there is, the user is the
// image's. The other architecture's is run by an emulator, which is put beside it.
func inImage(t *testing.T, config v1.Config, root, arch string, args ...string) *exec.Cmd {
	t.Helper()
	command := append(append([]string{}, config.Entrypoint...), args...)
	if arch != runtime.GOARCH {
		name := map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}[arch]
		emulator, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("%v: internal/testenv/install.sh installs it", err)
		}
		must(0, os.WriteFile(filepath.Join(root, "emulator"), must(os.ReadFile(emulator)), 0o755))
		command = append([]string{"/emulator"}, command...)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env, cmd.Dir = config.Env, config.WorkingDir
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: userID, Gid: userID}
		return cmd
	}
	// Who is not root may change the root in a name space of users, in which they have the image's number.
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Getgid(), Size: 1}}
	return cmd
}

// startImage starts authd, and returns its URL and what ends it in order.
func startImage(t *testing.T, cmd *exec.Cmd) (url string, terminate func()) {
	t.Helper()
	var printed output
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		ended <- <-ended
		if t.Failed() {
			t.Logf("authd printed\n%s", &printed)
		}
	})
	ready := regexp.MustCompile(`(?s)public API\s+(http://\S+).*\nready\n`)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if m := ready.FindStringSubmatch(printed.String()); m != nil {
			url = m[1]
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("authd ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("authd is not ready")
		}
	}
	return url, func() {
		must(0, cmd.Process.Signal(syscall.SIGTERM))
		select {
		case err := <-ended:
			ended <- err
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("does not end")
		}
	}
}

func call(t *testing.T, method, url, token, body string, into any) int {
	t.Helper()
	request := must(http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body)))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	response := must(client.Do(request))
	defer response.Body.Close()
	if into != nil {
		must(0, json.NewDecoder(response.Body).Decode(into))
	}
	return response.StatusCode
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

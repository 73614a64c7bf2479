package deploy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = 2 * time.Minute

// group is that of the pod, who may read what is mounted.
const group = 65532

// pod is authd started as a kubelet would start it: nothing but the image's program and what the pod mounts, in a root of its
// own that it cannot write, as the pod's user, with the container's arguments and environment. What differs is what a machine
// without containers cannot have: the ports are free ones of the loopback.
type pod struct {
	before *pod // whose claimed volume it gets; nil for none
	spec   corev1.PodSpec
	root   string
	env    []string
	ports  map[string]string // addresses by the names of the ports
	cmd    *exec.Cmd
	out    *output
	done   chan struct{} // closed when it has ended
	err    error         // how, once done is closed
}

// startPod starts a pod of the Deployment that is in the cluster, and returns once the chart's probes say that it is ready. The
// one before, if any, leaves it the claimed volume.
func startPod(t *testing.T, c cluster, before *pod) *pod {
	t.Helper()
	p := &pod{
		before: before,
		spec:   into[appsv1.Deployment](t, c, deployment).Spec.Template.Spec, root: t.TempDir(),
		ports: map[string]string{}, out: &output{}, done: make(chan struct{}),
	}
	p.mountAll(t, c)
	p.setEnv(t, c)
	p.cmd = p.command(t, p.spec.Containers[0].Args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("authd printed\n%s", p.out)
		}
	})
	container := p.spec.Containers[0]
	p.await(t, container.StartupProbe)
	p.await(t, container.ReadinessProbe)
	p.await(t, container.LivenessProbe)
	until(t, "the public port is open", func() bool { // within the moment in which a cluster learns who is ready
		conn, err := net.Dial("tcp", p.ports["http"])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

// command is a run of the image's program in the container, as `kubectl exec` makes another one.
func (p *pod) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/usr/local/bin/authd", args...)
	cmd.Env, cmd.Dir = p.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root, Pdeathsig: syscall.SIGKILL}
	uid, gid := int(*p.spec.SecurityContext.RunAsUser), int(*p.spec.SecurityContext.RunAsGroup)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(*p.spec.SecurityContext.FSGroup)}}
		return cmd
	}
	// Who is not root may change the root in a name space of users, in which they have the pod's number.
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: os.Getgid(), Size: 1}}
	return cmd
}

// mountAll makes the files of the image and of the pod's volumes.
func (p *pod) mountAll(t *testing.T, c cluster) {
	t.Helper()
	if err := os.Chmod(p.root, 0o755); err != nil {
		t.Fatal(err)
	}
	binary, err := authdBinary()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "/usr/local/bin/authd", program, 0o755)
	volumes := map[string]corev1.Volume{}
	for _, v := range p.spec.Volumes {
		volumes[v.Name] = v
	}
	for _, mount := range p.spec.Containers[0].VolumeMounts {
		p.mount(t, c, mount.MountPath, volumes[mount.Name])
	}
	if *p.spec.AutomountServiceAccountToken {
		const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
		p.write(t, account+"token", []byte(c.token(t, p.spec.ServiceAccountName)), 0o640)
		p.write(t, account+"namespace", []byte(c.namespace), 0o640)
		p.write(t, account+"ca.crt", c.authority(t), 0o640)
	}
}

// mount makes the files of a volume.
func (p *pod) mount(t *testing.T, c cluster, path string, v corev1.Volume) {
	t.Helper()
	switch {
	case v.ConfigMap != nil:
		config := into[corev1.ConfigMap](t, c, "/api/v1/namespaces/NS/configmaps/"+v.ConfigMap.Name)
		for name, content := range config.Data {
			p.write(t, path+"/"+name, []byte(content), 0o644)
		}
	case v.Projected != nil:
		for _, source := range v.Projected.Sources {
			secret := into[corev1.Secret](t, c, "/api/v1/namespaces/NS/secrets/"+source.Secret.Name)
			for _, item := range source.Secret.Items {
				content, ok := secret.Data[item.Key]
				if !ok {
					t.Fatalf("Secret %s has no %s", secret.Name, item.Key)
				}
				p.write(t, path+"/"+item.Path, content, fs.FileMode(*v.Projected.DefaultMode))
			}
		}
	case v.EmptyDir != nil:
		p.volume(t, path, 0o777|fs.ModeSetgid)
	case v.PersistentVolumeClaim != nil && p.before == nil:
		p.volume(t, path, 0o775|fs.ModeSetgid)
	case v.PersistentVolumeClaim != nil:
		p.folder(t, filepath.Dir(filepath.Join(p.root, path)))
		if err := os.Rename(filepath.Join(p.before.root, path), filepath.Join(p.root, path)); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("a volume of another kind: %+v", v)
	}
}

// volume makes an empty volume.
func (p *pod) volume(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	dir := filepath.Join(p.root, path)
	p.folder(t, filepath.Dir(dir))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.give(t, dir, mode)
}

// write makes a file that belongs to root and to the pod's group, as the kubelet does.
func (p *pod) write(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	name := filepath.Join(p.root, path)
	p.folder(t, filepath.Dir(name))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p.give(t, name, mode)
}

// folder makes a folder that everybody may look into.
func (p *pod) folder(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// give hands something to the pod's group. Where the test is not run by root, root's files are its own, as which authd runs;
// those of mode 0440 it would refuse then, and gets them as 0400.
func (p *pod) give(t *testing.T, name string, mode fs.FileMode) {
	t.Helper()
	if os.Geteuid() == 0 {
		if err := os.Chown(name, 0, group); err != nil {
			t.Fatal(err)
		}
	} else if mode == 0o440 {
		mode = 0o400
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// authority returns the certificate by which pods know the API server, which the administrator's kubeconfig has.
func (c cluster) authority(t *testing.T) []byte {
	t.Helper()
	var config struct {
		Clusters []struct {
			Cluster struct {
				Authority string `json:"certificate-authority-data"`
			}
		}
	}
	unmarshal(t, []byte(readFile(t, c.Kubeconfig)), &config)
	pem, err := base64.StdEncoding.DecodeString(config.Clusters[0].Cluster.Authority)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

// setEnv is the container's environment and what a kubelet adds. Where the chart says to listen at a port of any address, it
// is a free one of the loopback.
func (p *pod) setEnv(t *testing.T, c cluster) {
	t.Helper()
	container := p.spec.Containers[0]
	for _, e := range container.Env {
		for _, port := range container.Ports {
			if e.Value == fmt.Sprintf(":%d", port.ContainerPort) {
				e.Value = freeAddress(t)
				p.ports[port.Name] = e.Value
			}
		}
		p.env = append(p.env, e.Name+"="+e.Value)
	}
	if len(p.ports) != len(container.Ports) {
		t.Fatalf("the container listens on %v, but names %+v", p.ports, container.Ports)
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port, "PATH=/usr/local/bin")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await asks as a probe does until the answer is good.
func (p *pod) await(t *testing.T, probe *corev1.Probe) {
	t.Helper()
	url := "http://" + p.ports[probe.HTTPGet.Port.StrVal] + probe.HTTPGet.Path
	until(t, url, func() bool {
		select {
		case <-p.done:
			t.Fatalf("authd ended: %v", p.err)
		default:
		}
		status, err := try(t, url)
		return err == nil && status < 400
	})
}

// terminate ends the pod in order, within its grace.
func (p *pod) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("ended with %v", p.err)
		}
	case <-time.After(patience):
		t.Fatal("does not end")
	}
}

// exec runs another command in the container.
func (p *pod) exec(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := p.command(t, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("authd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
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

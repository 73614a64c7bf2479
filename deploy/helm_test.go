// Package deploy_test holds what lies in this folder for Kubernetes, the Helm chart, the kustomize bases and rbac.yaml,
// against each other and against a real API server, and starts authd as the chart says that a pod must.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/testenv"
)

// update writes again what is made from something else: the settings in the chart's schema, the table in its README, and
// the kustomize bases.
var update = flag.Bool("update", false, "write generated files")

// chart is where the chart is, from here.
const chart = "chart"

// modes are those of the chart; for each there are values in chart/ci.
var modes = []string{"embedded", "redis", "etcd", "kubernetes"}

// object is a Kubernetes object.
type object map[string]any

func (o object) kind() string { return o["kind"].(string) }
func (o object) name() string { return o["metadata"].(object)["name"].(string) }

// objects are those of a rendering, in its order.
type objects []object

// render renders the chart with the values of a mode and further ones.
func render(t *testing.T, mode string, set ...string) objects {
	t.Helper()
	args := []string{"template", "authd", chart, "--values", filepath.Join(chart, "ci", mode+".yaml")}
	out, err := testenv.Helm(t, "", slices.Concat(args, flags(set))...)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, out)
}

// flags makes --set of each NAME=VALUE.
func flags(set []string) (args []string) {
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return args
}

// parse reads YAML documents.
func parse(t *testing.T, text string) (all objects) {
	t.Helper()
	for documents := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		if err := documents.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

// find returns the object of a kind and a name.
func (all objects) find(kind, name string) (object, bool) {
	for _, o := range all {
		if o.kind() == kind && o.name() == name {
			return o, true
		}
	}
	return nil, false
}

// has tells whether there is an object of a kind.
func (all objects) has(kind string) bool {
	return slices.ContainsFunc(all, func(o object) bool { return o.kind() == kind })
}

// as returns the one object of a kind and a name as what Kubernetes takes it for; a field that Kubernetes does not know is
// an error.
func as[T any](t *testing.T, all objects, kind, name string) (into T) {
	t.Helper()
	o, ok := all.find(kind, name)
	if !ok {
		t.Fatalf("there is no %s %s", kind, name)
	}
	strictly(t, o, &into)
	return into
}

// strictly converts an object; a field that is not in the type is an error.
func strictly(t *testing.T, o, into any) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// authdBinary builds authd as the image has it, once.
var authdBinary = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", binaries, "../cmd/authd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return filepath.Join(binaries, "authd"), nil
})

// binaries is a folder that ends with the process.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		flag.Parse()
		var err error
		if binaries, err = os.MkdirTemp("", "authd-deploy-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(binaries)
		return m.Run()
	}())
}

// readFile returns a file as text.
func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keep compares a generated file, or writes it with -update.
func keep(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, _ := os.ReadFile(name); string(got) != want {
		t.Errorf("%s is not what it is made from; run: go test ./deploy -run '^%s$' -update", name, t.Name())
	}
}

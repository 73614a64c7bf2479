package deploy_test

import (
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/testenv"
)

// bases are the folders of kustomize, and which values of the chart each is made from.
var bases = map[string]string{"base": "embedded", "redis": "redis", "kubernetes": "kubernetes"}

// rbac.yaml is what the chart makes for authd's account, its Lease and its Secret. The tests of election and keys run with
// it, and so with the rights that the chart gives.
func TestRBACIsTheCharts(t *testing.T) {
	t.Parallel()
	want := objects{}
	for _, o := range render(t, "kubernetes") {
		switch o.kind() {
		case "ServiceAccount", "Role", "RoleBinding", "Lease", "Secret":
			want = append(want, bare(o))
		}
	}
	got := parse(t, readFile(t, "rbac.yaml"))
	for _, all := range []objects{got, want} {
		slices.SortFunc(all, func(a, b object) int { return strings.Compare(a.kind(), b.kind()) })
	}
	if len(got) != 5 || !reflect.DeepEqual(got, want) {
		t.Errorf("rbac.yaml has\n%v\nbut the chart\n%v", got, want)
	}
}

// bare is an object without what is about Helm's release.
func bare(o object) object {
	metadata := maps.Clone(o["metadata"].(object))
	delete(metadata, "labels")
	delete(metadata, "annotations")
	o = maps.Clone(o)
	o["metadata"] = metadata
	return o
}

// Each folder of kustomize makes what the chart makes, but for what is Helm's, and for the name of the ConfigMap, which
// kustomize changes with its content to make new pods.
func TestKustomizeIsTheChart(t *testing.T) {
	t.Parallel()
	for folder, mode := range bases {
		all := render(t, mode)
		settings, _ := all.find("ConfigMap", "authd")
		keep(t, filepath.Join("kustomize", folder, "authd.yaml"), settings["data"].(object)["authd.yaml"].(string))
		keep(t, filepath.Join("kustomize", folder, "objects.yaml"), withoutHelm(t, all))

		out, err := testenv.Kubernetes(t).Kubectl(t, "", "kustomize", filepath.Join("kustomize", folder))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		name := regexp.MustCompile(`authd-settings-[a-z0-9]{10}`)
		if n := len(name.FindAllString(out, -1)); n != 2 {
			t.Errorf("%s: the name of the ConfigMap stands in %d places", folder, n)
		}
		made, want := byName(parse(t, name.ReplaceAllString(out, "authd"))), byName(all)
		if !reflect.DeepEqual(made, want) {
			for key := range want {
				if !reflect.DeepEqual(made[key], want[key]) {
					t.Errorf("%s: %s is\n%v\nbut the chart's\n%v", folder, key, made[key], want[key])
				}
			}
			t.Errorf("%s: %v, but the chart has %v", folder, slices.Sorted(maps.Keys(made)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// helms are labels and annotations that say something only to Helm, or only where Helm is.
var helms = []string{"helm.sh/chart", "helm.sh/resource-policy", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "checksum/config"}

// byName is all that is made, by kind and name, without what is Helm's.
func byName(all objects) map[string]object {
	found := map[string]object{}
	for _, o := range all {
		strip(o)
		found[o.kind()+" "+o.name()] = o
	}
	return found
}

// strip takes Helm's labels and annotations away, wherever they are.
func strip(v any) {
	switch v := v.(type) {
	case object:
		for _, key := range []string{"labels", "annotations"} {
			if m, ok := v[key].(object); ok {
				for _, name := range helms {
					delete(m, name)
				}
				if len(m) == 0 {
					delete(v, key)
				}
			}
		}
		for _, child := range v {
			strip(child)
		}
	case []any:
		for _, child := range v {
			strip(child)
		}
	}
}

// withoutHelm is a rendering as kustomize takes it, without the ConfigMap, which kustomize makes itself.
func withoutHelm(t *testing.T, all objects) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("# Made from the chart by: go test ./deploy -run '^TestKustomizeIsTheChart$' -update\n")
	for _, o := range all {
		if o.kind() == "ConfigMap" {
			continue
		}
		if o.kind() == "Deployment" {
			volumes := o["spec"].(object)["template"].(object)["spec"].(object)["volumes"].([]any)
			volumes[0].(object)["configMap"].(object)["name"] = "authd-settings"
		}
		strip(o)
		document, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n")
		text.Write(document)
	}
	// The ConfigMap had another name only here.
	for _, o := range all {
		if o.kind() == "Deployment" {
			volumes := o["spec"].(object)["template"].(object)["spec"].(object)["volumes"].([]any)
			volumes[0].(object)["configMap"].(object)["name"] = "authd"
		}
	}
	return text.String()
}

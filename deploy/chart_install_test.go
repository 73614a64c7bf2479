package deploy_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/authd-project/authd/internal/testenv"
)

// The API server takes all that the chart makes, with every option, and the pods pass as restricted.
func TestChartInstalls(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.operatorCRDs(t)
	monitor := c.at("/apis/monitoring.coreos.com/v1/namespaces/NS/servicemonitors")
	if status, _ := c.do(t, http.MethodPost, monitor, object{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": object{"name": "wrong"}, "spec": object{"endpoints": "all"},
	}); status != http.StatusUnprocessableEntity {
		t.Errorf("a ServiceMonitor that is none: %d", status)
	}
	for _, mode := range modes {
		c := newCluster(t)
		set := []string{"ingress.enabled=true", "ingress.tlsSecret=tls", "monitoring.serviceMonitor=true", "monitoring.rules=true",
			"networkPolicy.adminFrom[0].namespaceSelector.matchLabels.name=monitoring"}
		if mode != "embedded" {
			set = append(set, "autoscaling.enabled=true")
		}
		out := c.helm(t, slices.Concat([]string{"install", "authd", chart}, values(mode, set...))...)
		for plural, kind := range map[string]string{"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"} {
			want, _ := render(t, mode, set...).find(kind, "authd")
			got := c.get(t, "/apis/monitoring.coreos.com/v1/namespaces/NS/"+plural+"/authd")
			if string(mustJSON(t, got["spec"])) != string(mustJSON(t, want["spec"])) { // what it does not know it drops
				t.Errorf("%s: %s has become\n%v", mode, kind, got["spec"])
			}
		}
		if !strings.Contains(out, "STATUS: deployed") || !strings.Contains(out, "authd user add alice") {
			t.Errorf("%s: helm printed\n%s", mode, out)
		}
		pod := into[appsv1.Deployment](t, c, deployment).Spec.Template
		path := c.at("/api/v1/namespaces/NS/pods")
		made := object{"metadata": object{"generateName": "authd-", "labels": pod.Labels}, "spec": pod.Spec}
		if status, answer := c.do(t, http.MethodPost, path, made); status != http.StatusCreated {
			t.Errorf("%s: a pod of the template: %d: %v", mode, status, answer["message"])
		}
		pod.Spec.Containers[0].SecurityContext.Capabilities = nil
		if status, answer := c.do(t, http.MethodPost, path, made); status != http.StatusForbidden {
			t.Errorf("%s: a pod that keeps its capabilities: %d: %v", mode, status, answer["message"])
		}
	}
}

// operatorCRDs teaches the API server the kinds of the Prometheus operator, and waits until it knows them.
func (c cluster) operatorCRDs(t *testing.T) {
	t.Helper()
	for _, file := range testenv.OperatorCRDs(t) {
		definition := parse(t, readFile(t, file))[0]
		c.must(t, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
		plural := definition["spec"].(object)["names"].(object)["plural"].(string)
		until(t, "the API server knows "+plural, func() bool {
			status, _ := c.do(t, http.MethodGet, c.at("/apis/monitoring.coreos.com/v1/namespaces/NS/"+plural), nil)
			return status == http.StatusOK
		})
	}
}

// What authd writes into the Secret and the Lease stays there, whatever is done to the release, be it by comparison of three
// versions, as in Helm 3, or by owners of fields, as in Helm 4; and be it by force.
func TestChartKeepsTheRing(t *testing.T) {
	t.Parallel()
	for name, side := range map[string]string{"three-way": "--server-side=false", "server-side": "--server-side=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.helm(t, slices.Concat([]string{"install", "authd", chart, side}, values("kubernetes"))...)
			first := into[appsv1.Deployment](t, c, deployment).Spec.Template
			kept := c.writeAsAuthd(t)
			kept.check(t, c, "what authd wrote")

			c.helm(t, slices.Concat([]string{"upgrade", "authd", chart, side}, values("kubernetes", "config.access_ttl=5m"))...)
			kept.check(t, c, "an upgrade")
			second := into[appsv1.Deployment](t, c, deployment).Spec.Template
			if reflect.DeepEqual(first.Annotations, second.Annotations) {
				t.Error("a change of settings makes no new pods")
			}
			c.helm(t, "rollback", "authd", "1", side)
			kept.check(t, c, "a rollback")
			if again := into[appsv1.Deployment](t, c, deployment).Spec.Template; !reflect.DeepEqual(again, first) {
				t.Errorf("rolled back to %+v", again)
			}
			if !strings.Contains(string(mustJSON(t, c.get(t, configMap)["data"])), "issuer") {
				t.Error("the settings are gone")
			}
			c.helm(t, slices.Concat([]string{"upgrade", "authd", chart, side}, values("redis"))...)
			kept.check(t, c, "an upgrade to another mode")
			c.helm(t, "rollback", "authd", "1", side)
			kept.check(t, c, "the way back")

			if out := c.helm(t, "uninstall", "authd"); !strings.Contains(out, "kept due to the resource policy") || !strings.Contains(out, "[Secret] authd-keys") {
				t.Errorf("helm does not say what it keeps:\n%s", out)
			}
			if c.get(t, deployment) != nil {
				t.Error("the Deployment is left behind")
			}
			kept.check(t, c, "the end of the release")
			c.helm(t, slices.Concat([]string{"install", "authd", chart, side}, values("kubernetes"))...)
			kept.check(t, c, "an installation of the same name")
			if name == "three-way" { // as docs/kubernetes.md warns; what authd does then is in TestChartRuns
				c.helm(t, slices.Concat([]string{"upgrade", "authd", chart, side, "--force-replace"}, values("kubernetes"))...)
				if ring := c.ring(t); ring != "" {
					t.Errorf("force leaves %q", ring)
				}
			}
			c.must(t, http.MethodDelete, c.at(leaderLease), nil)
			c.must(t, http.MethodDelete, c.at(ringSecret), nil)
			c.helm(t, slices.Concat([]string{"upgrade", "authd", chart, side}, values("kubernetes"))...)
			if c.get(t, leaderLease) == nil || c.get(t, ringSecret) == nil {
				t.Error("an upgrade does not make again what was deleted")
			}
		})
	}
}

// written is what authd has written: data of the Secret and spec of the Lease, and whose they are.
type written struct{ ring, ringUID, lease, leaseUID any }

// writeAsAuthd writes with the rights that the chart gives to authd.
func (c cluster) writeAsAuthd(t *testing.T) written {
	t.Helper()
	authd := c.as(t, "authd")
	secret := authd.get(t, ringSecret)
	secret["data"] = map[string]any{"ring": "cmluZw==", "version": "MQ=="}
	authd.must(t, http.MethodPut, c.at(ringSecret), secret)
	lease := authd.get(t, leaderLease)
	lease["spec"] = map[string]any{"holderIdentity": "authd-1", "leaseDurationSeconds": 5, "leaseTransitions": 3, "renewTime": "2026-01-02T03:04:05.000000Z"}
	authd.must(t, http.MethodPut, c.at(leaderLease), lease)
	return c.written(t)
}

func (c cluster) written(t *testing.T) written {
	t.Helper()
	secret, lease := c.get(t, ringSecret), c.get(t, leaderLease)
	if secret == nil || lease == nil {
		t.Fatal("the Secret or the Lease is gone")
	}
	uid := func(o map[string]any) any { return o["metadata"].(map[string]any)["uid"] }
	return written{secret["data"], uid(secret), lease["spec"], uid(lease)}
}

// check wants all to be as it was.
func (w written) check(t *testing.T, c cluster, after string) {
	t.Helper()
	if now := c.written(t); w.ring == nil || !reflect.DeepEqual(now, w) {
		t.Fatalf("after %s there is %v, not %v", after, now, w)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

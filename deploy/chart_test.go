package deploy_test

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/testenv"
)

func TestChartLints(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		if out, err := testenv.Helm(t, "", "lint", "--strict", chart, "--values", filepath.Join(chart, "ci", mode+".yaml")); err != nil {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}

// Values that cannot work are refused before anything is made, and the message names the value.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode string
		set  []string
		want string
	}{
		{"embedded", []string{"replicas=2"}, "at '/replicas': value must be one of"},
		{"embedded", []string{"autoscaling.enabled=true"}, "at '/autoscaling/enabled': value must be false"},
		{"embedded", []string{"config.issuer=null"}, "at '/config': missing property 'issuer'"},
		{"embedded", []string{"config.issuer=https://auth.example.com/"}, "at '/config/issuer'"},
		{"embedded", []string{"image.repository="}, "at '/image/repository': minLength"},
		{"embedded", []string{"mode=raft"}, "at '/mode': value must be one of 'embedded', 'redis', 'etcd', 'kubernetes'"},
		{"embedded", []string{"mode=redis"}, "at '/config': missing properties 'redis', 'users'"},
		{"redis", []string{"config.users=null"}, "at '/config/users': got null"},
		{"redis", []string{"mode=etcd"}, "at '/config': missing property 'etcd'"},
		{"redis", []string{"secrets.kek.name="}, "at '/secrets/kek/name': minLength"},
		{"redis", []string{"replicas=0"}, "at '/replicas': minimum: got 0, want 1"},
		{"redis", []string{"replcias=3"}, "additional properties 'replcias' not allowed"},
		{"redis", []string{"config.acess_ttl=5m"}, "additional properties 'acess_ttl' not allowed"},
		{"redis", []string{"config.access_ttl=5"}, "at '/config/access_ttl'"},
		{"redis", []string{"config.election=solo"}, "additional properties 'election' not allowed"},
		{"redis", []string{"config.redis=redis://:secret@redis"}, "at '/config/redis'"},
		{"redis", []string{"config.users=postgres://authd:secret@postgres/authd"}, "at '/config/users'"},
		{"redis", []string{"secrets.kek=hEoJXPnZcG"}, "at '/secrets/kek': got string, want object"},
		{"redis", []string{"topologySpread=Never"}, "at '/topologySpread'"},
		{"redis", []string{"podDisruptionBudget.maxUnavailable=0"}, "at '/podDisruptionBudget/maxUnavailable'"},
		{"redis", []string{"env[0].name=AUTHD_LISTEN"}, "at '/env/0/name'"},
		{"redis", []string{`files.authd\.yaml=x`}, "invalid propertyName 'authd.yaml'"},
	} {
		args := []string{"template", "authd", chart, "--values", filepath.Join(chart, "ci", tt.mode+".yaml")}
		if _, err := testenv.Helm(t, "", slices.Concat(args, flags(tt.set))...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %v: %v, want %q", tt.mode, tt.set, err, tt.want)
		}
	}
}

// settings returns the settings that the chart gives to authd.
func settings(t *testing.T, all objects) (s map[string]any) {
	t.Helper()
	i := slices.IndexFunc(all, func(o object) bool { return o.kind() == "ConfigMap" })
	config := as[corev1.ConfigMap](t, all, "ConfigMap", all[i].name())
	if err := yaml.Unmarshal([]byte(config.Data["authd.yaml"]), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a mode makes, and what not.
func TestChartModes(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			all := render(t, mode)
			deployment := as[appsv1.Deployment](t, all, "Deployment", "authd")
			spec := deployment.Spec.Template.Spec
			embedded, inKubernetes := mode == "embedded", mode == "kubernetes"
			for kind, want := range map[string]bool{
				"ConfigMap": true, "Service": true, "ServiceAccount": true, "NetworkPolicy": true,
				"PersistentVolumeClaim": embedded, "PodDisruptionBudget": !embedded,
				"Role": inKubernetes, "RoleBinding": inKubernetes, "Lease": true, "Secret": true,
				"Ingress": false, "HorizontalPodAutoscaler": false, "ServiceMonitor": false, "PrometheusRule": false,
			} {
				if got := all.has(kind); got != want {
					t.Errorf("%s: %v, want %v", kind, got, want)
				}
			}
			if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken != inKubernetes {
				t.Errorf("the token is mounted: %v", spec.AutomountServiceAccountToken)
			}
			want := map[string]any{"election": mode, "keys": mode, "audit_file": "-"}
			if embedded {
				want = map[string]any{"election": "solo", "keys": "embedded", "audit_file": nil}
			}
			for setting, value := range want {
				if got := settings(t, all)[setting]; got != value {
					t.Errorf("%s: %v, want %v", setting, got, value)
				}
			}
			if embedded {
				if deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || *deployment.Spec.Replicas != 1 {
					t.Errorf("%d replicas, %+v", *deployment.Spec.Replicas, deployment.Spec.Strategy)
				}
				return
			}
			rolling := deployment.Spec.Strategy.RollingUpdate
			if rolling == nil || rolling.MaxUnavailable.String() != "0" || rolling.MaxSurge.String() != "1" || *deployment.Spec.Replicas != 3 {
				t.Errorf("%d replicas, %+v", *deployment.Spec.Replicas, rolling)
			}
			checkSpread(t, deployment)
			budget := as[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget", "authd")
			if budget.Spec.MaxUnavailable.String() != "1" || !reflect.DeepEqual(budget.Spec.Selector, deployment.Spec.Selector) {
				t.Errorf("disruption budget %+v", budget.Spec)
			}
		})
	}
}

// checkSpread wants the pods of one template over zones and nodes.
func checkSpread(t *testing.T, deployment appsv1.Deployment) {
	t.Helper()
	var over []string
	for _, c := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		over = append(over, c.TopologyKey)
		if !reflect.DeepEqual(c.LabelSelector, deployment.Spec.Selector) || !slices.Contains(c.MatchLabelKeys, "pod-template-hash") {
			t.Errorf("spread by %+v", c)
		}
	}
	if !slices.Equal(over, []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"}) {
		t.Errorf("spread over %v", over)
	}
}

// Every pod is restricted, is asked how it is on the admin listener, and has the time to end that it needs.
func TestChartPod(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		all := render(t, mode, "shutdownDelaySeconds=7", "drainSeconds=20")
		deployment := as[appsv1.Deployment](t, all, "Deployment", "authd")
		pod := deployment.Spec.Template.Spec
		container := pod.Containers[0]
		security := container.SecurityContext
		if !*security.ReadOnlyRootFilesystem || *security.AllowPrivilegeEscalation || !slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: container %+v", mode, security)
		}
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || *s.FSGroup != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: pod %+v", mode, s)
		}
		for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
			if probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "admin" {
				t.Errorf("%s: %s is asked at %+v", mode, path, probe.HTTPGet)
			}
		}
		if container.StartupProbe.HTTPGet.Port.String() != "admin" {
			t.Errorf("%s: started as of %+v", mode, container.StartupProbe)
		}
		s := settings(t, all)
		if grace := *pod.TerminationGracePeriodSeconds; grace <= 7+20 || s["shutdown_delay"] != "7s" || s["drain_timeout"] != "20s" {
			t.Errorf("%s: %d s to end, %v to go on serving, %v to drain", mode, grace, s["shutdown_delay"], s["drain_timeout"])
		}
		checkServices(t, mode, deployment)
	}
}

// checkServices wants the services and the policy to find the pods, and the ports to be those that authd listens on.
func checkServices(t *testing.T, mode string, deployment appsv1.Deployment) {
	t.Helper()
	all := render(t, mode, "networkPolicy.adminFrom[0].namespaceSelector.matchLabels.name=monitoring")
	policy := as[networkingv1.NetworkPolicy](t, all, "NetworkPolicy", "authd").Spec
	pods := labels.Set(deployment.Spec.Template.Labels)
	ports := map[string]int32{}
	for _, p := range deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = p.ContainerPort
	}
	if want := map[string]int32{"http": 8080, "admin": 8081}; !reflect.DeepEqual(ports, want) {
		t.Errorf("%s: ports %v", mode, ports)
	}
	for name, port := range map[string]string{"authd": "http", "authd-admin": "admin"} {
		service := as[corev1.Service](t, all, "Service", name).Spec
		if !labels.SelectorFromSet(service.Selector).Matches(pods) || len(service.Ports) != 1 || service.Ports[0].TargetPort.String() != port {
			t.Errorf("%s: service %+v", mode, service)
		}
	}
	if !reflect.DeepEqual(policy.PodSelector, *deployment.Spec.Selector) || len(policy.Ingress) != 2 || len(policy.Ingress[0].From) != 0 ||
		policy.Ingress[0].Ports[0].Port.String() != "http" || policy.Ingress[1].Ports[0].Port.String() != "admin" || len(policy.Ingress[1].From) != 1 {
		t.Errorf("%s: policy %+v", mode, policy)
	}
	if closed := as[networkingv1.NetworkPolicy](t, render(t, mode), "NetworkPolicy", "authd").Spec; len(closed.Ingress) != 1 || closed.Ingress[0].Ports[0].Port.String() != "http" {
		t.Errorf("%s: without peers the admin port is open: %+v", mode, closed)
	}
}

// Secrets come by name and as files, each where the settings say; nothing secret is rendered.
func TestChartSecrets(t *testing.T) {
	t.Parallel()
	all := render(t, "etcd", "secrets.more[0]=ldap")
	pod := as[appsv1.Deployment](t, all, "Deployment", "authd").Spec.Template.Spec
	files := map[string]string{} // path to Secret
	for _, mount := range pod.Containers[0].VolumeMounts {
		volume := pod.Volumes[slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })]
		if volume.Projected != nil {
			if *volume.Projected.DefaultMode != 0o440 {
				t.Errorf("mode %o", *volume.Projected.DefaultMode)
			}
			for _, source := range volume.Projected.Sources {
				for _, item := range source.Secret.Items {
					files[mount.MountPath+"/"+item.Path] = source.Secret.Name
				}
			}
		}
		if volume.Secret != nil {
			files[mount.MountPath] = volume.Secret.SecretName
		}
	}
	s := settings(t, all)
	for setting, secret := range map[string]string{
		"kek_file": "authd-kek", "admin_token_file": "authd-admin-token", "redis_password_file": "authd-redis", "users_password_file": "authd-users",
		"etcd_password_file": "authd-etcd", "etcd_ca": "authd-etcd-tls", "etcd_cert": "authd-etcd-tls", "etcd_key": "authd-etcd-tls",
	} {
		if path, _ := s[setting].(string); files[path] != secret {
			t.Errorf("%s is %q, from Secret %q, want %q", setting, path, files[path], secret)
		}
	}
	if files["/run/secrets/ldap"] != "ldap" {
		t.Errorf("files %v", files)
	}
}

// A change of settings or files makes new pods, as one of the template does; anything else does not.
func TestChartRolls(t *testing.T) {
	t.Parallel()
	sum := func(set ...string) string {
		return as[appsv1.Deployment](t, render(t, "redis", set...), "Deployment", "authd").Spec.Template.Annotations["checksum/config"]
	}
	before := sum()
	if again := sum("replicas=5", "networkPolicy.enabled=false"); before == "" || again != before {
		t.Errorf("%q, then %q without a change of settings", before, again)
	}
	for _, change := range []string{"config.access_ttl=5m", `files.clients\.yaml=x`, "drainSeconds=11"} {
		if sum(change) == before {
			t.Errorf("%s makes no new pods", change)
		}
	}
}

// What is off unless it is asked for.
func TestChartOptions(t *testing.T) {
	t.Parallel()
	all := render(t, "kubernetes", "autoscaling.enabled=true", "autoscaling.maxReplicas=7", "ingress.enabled=true", "ingress.className=nginx",
		"ingress.tlsSecret=authd-tls", "config.issuer=https://auth.example.com:8443", "image.digest=sha256:"+strings.Repeat("ab", 32),
		"fullnameOverride=login")
	deployment := as[appsv1.Deployment](t, all, "Deployment", "login")
	if deployment.Spec.Replicas != nil {
		t.Errorf("%d replicas beside an autoscaler", *deployment.Spec.Replicas)
	}
	if got, want := deployment.Spec.Template.Spec.Containers[0].Image, "registry.example.com/authd@sha256:"+strings.Repeat("ab", 32); got != want {
		t.Errorf("image %s, want %s", got, want)
	}
	scaler := as[autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler", "login").Spec
	if scaler.ScaleTargetRef.Name != "login" || *scaler.MinReplicas != 3 || scaler.MaxReplicas != 7 {
		t.Errorf("autoscaler %+v", scaler)
	}
	ingress := as[networkingv1.Ingress](t, all, "Ingress", "login").Spec
	if rule := ingress.Rules[0]; rule.Host != "auth.example.com" || rule.HTTP.Paths[0].Backend.Service.Name != "login" ||
		*ingress.IngressClassName != "nginx" || ingress.TLS[0].SecretName != "authd-tls" || ingress.TLS[0].Hosts[0] != rule.Host {
		t.Errorf("ingress %+v", ingress)
	}
	role := as[rbacv1.Role](t, all, "Role", "login")
	s := settings(t, all)
	if s["kubernetes_lease"] != role.Rules[0].ResourceNames[0] || s["kubernetes_secret"] != role.Rules[1].ResourceNames[0] {
		t.Errorf("settings %v, but rights %+v", s, role.Rules)
	}
	for kind, setting := range map[string]string{"Lease": "kubernetes_lease", "Secret": "kubernetes_secret"} {
		if o, ok := all.find(kind, s[setting].(string)); !ok || o["data"] != nil {
			t.Errorf("%s %v: %v", kind, s[setting], o)
		}
	}
}

// Prometheus is told the rules of deploy/monitoring, and scrapes the admin listener under the job that they name.
func TestChartMonitoring(t *testing.T) {
	t.Parallel()
	alerts := readFile(t, "monitoring/alerts.yaml")
	keep(t, filepath.Join(chart, "files", "alerts.yaml"), alerts) // a chart takes no files from elsewhere
	all := render(t, "redis", "monitoring.serviceMonitor=true", "monitoring.rules=true", "monitoring.labels.release=prometheus")
	var want any
	if err := yaml.Unmarshal([]byte(alerts), &want); err != nil {
		t.Fatal(err)
	}
	rule, _ := all.find("PrometheusRule", "authd")
	text, _ := yaml.Marshal(rule["spec"])
	var got any
	if err := yaml.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: the rules are not those of monitoring/alerts.yaml:\n%s", err, text)
	}
	monitor, _ := all.find("ServiceMonitor", "authd")
	spec := monitor["spec"].(object)
	selector := labels.Set{}
	for k, v := range spec["selector"].(object)["matchLabels"].(object) {
		selector[k] = v.(string)
	}
	service := as[corev1.Service](t, all, "Service", "authd-admin")
	endpoint := spec["endpoints"].([]any)[0].(object)
	if !selector.AsSelector().Matches(labels.Set(service.Labels)) || endpoint["port"] != service.Spec.Ports[0].Name || endpoint["path"] != "/metrics" {
		t.Errorf("it scrapes %v of services with %v", endpoint, selector)
	}
	if public := as[corev1.Service](t, all, "Service", "authd"); selector.AsSelector().Matches(labels.Set(public.Labels)) {
		t.Error("it scrapes the public listener too")
	}
	if job := service.Labels[spec["jobLabel"].(string)]; job != "authd" {
		t.Errorf("the job is %q", job)
	}
	if rule["metadata"].(object)["labels"].(object)["release"] != "prometheus" {
		t.Error("the operator does not find the rules")
	}
}

// The chart's README has every value, with the comment that is above it and its default.
func TestChartReadme(t *testing.T) {
	t.Parallel()
	const head, tail = "<!-- values -->\n", "<!-- end -->\n"
	name := filepath.Join(chart, "README.md")
	before, rest, _ := strings.Cut(readFile(t, name), head)
	_, after, found := strings.Cut(rest, tail)
	if !found {
		t.Fatal("there is no place for the values")
	}
	keep(t, name, before+head+valuesTable(t)+tail+after)
}

// valuesTable makes a table of values.yaml. Every value must have a comment of one line.
func valuesTable(t *testing.T) string {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(chart, "values.yaml"))), &document); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| value | default | |\n|---|---|---|\n")
	var walk func(prefix string, n *yaml.Node)
	walk = func(prefix string, n *yaml.Node) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			path := prefix + key.Value
			_, comment, _ := strings.Cut("\n"+strings.TrimSpace(key.HeadComment), "# ")
			if i := strings.LastIndex(comment, "\n# "); i >= 0 {
				comment = comment[i+3:] // what is above the last is about the file
			}
			if comment == "" || strings.Contains(comment, "\n") {
				t.Errorf("%s has no comment of one line: %q", path, key.HeadComment)
			}
			if value.Kind == yaml.MappingNode && len(value.Content) > 0 && path != "resources" {
				table.WriteString("| `" + path + "` | | " + comment + " |\n")
				walk(path+".", value)
				continue
			}
			text, _ := yaml.Marshal(value)
			def := strings.Join(strings.Fields(regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(string(text), "")), " ")
			if path == "resources" {
				def = "see values.yaml"
			} else {
				def = "`" + def + "`"
			}
			table.WriteString("| `" + path + "` | " + def + " | " + comment + " |\n")
		}
	}
	walk("", document.Content[0])
	return table.String()
}

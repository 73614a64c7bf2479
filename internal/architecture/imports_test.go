package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/authd-project/authd"

// backends are what a service that only verifies tokens must never compile in.
var backends = []string{
	"github.com/labstack/echo/...", "k8s.io/...", "go.etcd.io/...", "github.com/redis/...", "database/sql",
	"modernc.org/...", "github.com/jackc/...", "github.com/spf13/...", "github.com/prometheus/...",
	"go.opentelemetry.io/...", "google.golang.org/grpc/...", "google.golang.org/protobuf/...", "github.com/go-ldap/...",
}

// forbidden lists, for a package and everything it imports, what must not be reached. A pattern ending in /... covers
// the package and everything below it.
var forbidden = []struct {
	pkg     string // relative to the module
	targets []string
	reason  string
}{
	{"middleware", backends, "a service that guards its handlers must not pay for authd's server and stores"},
	{"middleware", []string{module + "/httpapi/...", module + "/cmd/...", module + "/identity/..."}, "imports go downwards"},
	{"middleware/middlewaretest", backends, "the tests of a service need no more than the service"},
	{"middleware/echomw", except("github.com/labstack/echo/..."), "who uses echo need not use what other adapters are for"},
	{"middleware/otelmw", except("go.opentelemetry.io/..."), "likewise OpenTelemetry"},
	{"middleware/prommw", except("github.com/prometheus/...", "google.golang.org/protobuf/..."), "likewise Prometheus"},
	{"middleware/grpcmw", except("google.golang.org/grpc/...", "google.golang.org/protobuf/..."), "likewise gRPC"},
	{"token", append([]string{"net/http"}, backends...), "verifying a token needs no network"},
	{"token", siblings("session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other; token uses revocation's types"},
	{"audit", append([]string{"net/http", "net"}, backends...), "an event is a value; sinks with a backend are sub-packages"},
	{"audit", siblings("token", "revocation", "session", "keys", "election", "identity", "ratelimit", "dpop"), "siblings know nothing of each other"},
	{"ssf", backends, "stores of streams are sub-packages"},
	{"ssf", siblings("session", "keys", "election", "identity", "ratelimit"), "it is told by the audit log, and signs as token does"},
	{"dpop", append([]string{"net/http"}, backends...), "a proof is checked without a network; shared memories of used ones are sub-packages"},
	{"dpop", siblings("token", "revocation", "session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other"},
	{"revocation", append([]string{"net/http", "net"}, backends...), "the mirror answers from memory; feeds are sub-packages"},
	{"revocation", siblings("token", "session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other"},
	{"keys", backends, "the life cycle is pure; stores are sub-packages"},
	{"keys", siblings("token", "revocation", "session", "election", "identity", "ratelimit"), "siblings know nothing of each other"},
	{"keys/hostileissuer", backends, "who tries a verifier of his own must not pay for authd's server and stores"},
	{"keys/hostileissuer", siblings("httpapi", "middleware", "session", "election", "identity", "ratelimit"),
		"it signs tokens, and knows JWKS; nothing else of authd"},
	{"election", append([]string{"net/http"}, backends...), "electors with a backend are sub-packages"},
	{"election", siblings("token", "revocation", "session", "keys", "identity", "ratelimit"), "siblings know nothing of each other"},
	{"election/leaselock", siblings("keys"), "who leads is decided without the ring; the ring's store is what fences"},
	{"keys/secretstore", siblings("election"), "the ring is fenced whoever elects"},
	{"identity", backends, "sources of users are sub-packages"},
	{"identity/sqlquery", except("database/sql", "modernc.org/...", "github.com/jackc/..."), "a source of users needs no more than what it talks to"},
	{"identity/webhook", backends, "a source of users needs no more than what it talks to"},
	{"identity/ldap", except("github.com/go-ldap/..."), "a source of users needs no more than what it talks to"},
	{"identity", siblings("token", "revocation", "session", "keys", "election", "ratelimit"), "siblings know nothing of each other"},
	{"mfa", backends, "stores are sub-packages"},
	{"mfa", siblings("token", "revocation", "session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other; mfa knows users by their subject alone"},
	{"ratelimit", backends, "limiters with a backend are sub-packages"},
	{"ratelimit", siblings("token", "revocation", "session", "keys", "election", "identity"), "siblings know nothing of each other"},
	{"statuslist", backends, "registers are sub-packages; a service that goes by lists needs none"},
	{"statuslist", siblings("session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other; statuslist uses the types of token and revocation"},
	{"session", backends, "stores are sub-packages"},
	{"session", []string{module + "/httpapi/...", module + "/middleware/...", module + "/cmd/..."}, "imports go downwards"},
	{"oauth", append([]string{"net/http"}, backends...), "what a request means is a function of values; the endpoints are in httpapi"},
	{"oauth", siblings("session", "keys", "election", "identity", "ratelimit"), "siblings know nothing of each other; oauth uses token's claims"},
	{"oauth/backchannel", backends, "outboxes are sub-packages"},
	{"oauth/backchannel", []string{module + "/httpapi/...", module + "/middleware/...", module + "/cmd/..."}, "imports go downwards"},
	{"httpapi", []string{module + "/cmd/...", "go.etcd.io/...", "modernc.org/...", "k8s.io/...", "github.com/redis/..."},
		"the server is given its stores; only cmd/authd chooses them"},
	{"httpapi", exporters(), "the server is given a tracer, by OpenTelemetry's bare interface; only cmd/authd exports traces"},
	{"middleware/otelmw", exporters(), "a service brings its own"},
	{"examples/orders", exporters(), "likewise"},
	{"internal/tracing", []string{module + "/httpapi/...", module + "/cmd/...", "github.com/labstack/echo/...", "go.etcd.io/...", "modernc.org/...", "k8s.io/..."},
		"it stands between the parts that it is given, by their interfaces"},
}

// except returns the backends without these.
func except(needed ...string) []string {
	return slices.DeleteFunc(slices.Clone(backends), func(b string) bool { return slices.Contains(needed, b) })
}

// exporters are what makes and sends spans. What is traced knows at most the interface of OpenTelemetry.
func exporters() []string {
	return []string{module + "/internal/tracing/...", "go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/..."}
}

func siblings(names ...string) []string {
	var targets []string
	for _, n := range names {
		targets = append(targets, module+"/"+n+"/...")
	}
	return targets
}

func TestImportsGoDownwards(t *testing.T) {
	for _, rule := range forbidden {
		t.Run(rule.pkg, func(t *testing.T) {
			for _, dep := range dependencies(t, module+"/"+rule.pkg) {
				if slices.ContainsFunc(rule.targets, func(pattern string) bool { return matches(pattern, dep) }) {
					t.Errorf("%s reaches %s, but %s", rule.pkg, dep, rule.reason)
				}
			}
		})
	}
}

// The rules above must be able to fail: cmd/authd reaches what they forbid to others.
func TestRulesCanFail(t *testing.T) {
	deps := dependencies(t, module+"/cmd/authd")
	for _, pattern := range []string{"go.etcd.io/...", "modernc.org/...", "database/sql", "github.com/redis/...", "github.com/go-ldap/...", "go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/...", module + "/internal/tracing/...", module + "/httpapi/..."} {
		if !slices.ContainsFunc(deps, func(dep string) bool { return matches(pattern, dep) }) {
			t.Errorf("cmd/authd does not reach %s: the pattern matches nothing", pattern)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range list(t, "list", "-json=ImportPath,Doc,GoFiles", "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func matches(pattern, dep string) bool {
	root, below := strings.CutSuffix(pattern, "/...")
	return dep == root || below && strings.HasPrefix(dep, root+"/")
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	var deps []string
	for _, p := range list(t, "list", "-deps", "-json=ImportPath", pkg) {
		if p.ImportPath != pkg {
			deps = append(deps, p.ImportPath)
		}
	}
	return deps
}

type listed struct {
	ImportPath, Doc string
	GoFiles         []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = path.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

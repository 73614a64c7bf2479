package grpcmw

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/authd-project/authd/middleware"
)

// Names for [Exempt]: services that are often called without a token. Reflection tells everybody which methods there are.
const (
	Health           = "/grpc.health.v1.Health/"
	Reflection       = "/grpc.reflection.v1.ServerReflection/"
	ReflectionLegacy = "/grpc.reflection.v1alpha.ServerReflection/"
)

// Option says which methods are guarded, and how. A name is a full method, "/orders.v1.Orders/List", or a service with all
// its methods, "/orders.v1.Orders/". What names the method counts before what names its service, and that before what is
// for all; of two that name the same, the last. A name of another shape panics.
type Option func(*rules)

// All says what is required of every RPC that no other option names: by default, a good token.
func All(opts ...middleware.Option) Option {
	return func(r *rules) { r.set("", rule{opts: opts}) }
}

// Method says what is required of a method or service. It does not add to what other options say of it.
func Method(name string, opts ...middleware.Option) Option {
	return func(r *rules) { r.set(mustName(name), rule{opts: opts}) }
}

// Exempt lets everybody call these methods or services. No token is looked at, and there are no claims.
func Exempt(names ...string) Option {
	return func(r *rules) {
		for _, name := range names {
			r.set(mustName(name), rule{exempt: true})
		}
	}
}

// Check returns an error that lists the names in opts which no method of the server has: a misspelt name leaves its method
// with less than it should require. info comes from [grpc.Server.GetServiceInfo], once all services are registered.
func Check(info map[string]grpc.ServiceInfo, opts ...Option) error {
	var unknown []string
	for name := range newRules(opts) {
		service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
		known, ok := info[service]
		if method != "" {
			ok = slices.ContainsFunc(known.Methods, func(m grpc.MethodInfo) bool { return m.Name == method })
		}
		if name != "" && !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return fmt.Errorf("grpcmw: the server has no %s", strings.Join(unknown, ", "))
}

// rules are what is required, by name; the empty name is for all.
type rules map[string]rule

type rule struct {
	exempt bool
	opts   []middleware.Option
}

func newRules(opts []Option) rules {
	r := rules{"": {}}
	for _, o := range opts {
		o(&r)
	}
	return r
}

func (r *rules) set(name string, to rule) { (*r)[name] = to }

func mustName(name string) string {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok || name[0] != '/' || service == "" || strings.Contains(method, "/") {
		panic(fmt.Sprintf("grpcmw: %q is neither /service/method nor /service/", name))
	}
	return name
}

// gates are the rules made ready for one guard: nil for what is exempt.
type gates map[string]*middleware.Route

func newGates(guard *middleware.Guard, opts []Option) gates {
	g := gates{}
	for name, rule := range newRules(opts) {
		g[name] = nil
		if !rule.exempt {
			g[name] = guard.Route(rule.opts...)
		}
	}
	return g
}

// of returns the gate for a method, nil when it is exempt.
func (g gates) of(fullMethod string) *middleware.Route {
	if gate, named := g[fullMethod]; named {
		return gate
	}
	if gate, named := g[fullMethod[:strings.LastIndexByte(fullMethod, '/')+1]]; named {
		return gate
	}
	return g[""]
}

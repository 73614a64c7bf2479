package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// object is an endpoint that takes a JSON object.
type object struct {
	method, path string
	bearer       string
	good         string            // a body that is well-formed
	types        map[string]string // member → a value of the wrong type
	required     []string
	bounded      map[string]int // member → longest string, in bytes
	optional     bool           // an empty body will do
}

func (e *env) objects() []object {
	g := e.loginAlice()
	return []object{
		{
			method: "POST", path: "/v1/login", good: `{"username":"a","password":"b"}`,
			types: map[string]string{
				"username": `1`, "password": `["a"]`, "cookie": `"true"`, "client_id": `{}`, "scope": `false`,
			},
			required: []string{"username", "password"},
			bounded:  map[string]int{"username": 512, "password": 1024, "client_id": 128, "scope": 1024},
		},
		{
			method: "POST", path: "/v1/refresh", good: `{"refresh_token":"x"}`,
			types: map[string]string{"refresh_token": `7`}, required: []string{"refresh_token"},
			bounded: map[string]int{"refresh_token": 512},
		},
		{
			method: "POST", path: "/v1/logout", bearer: g.AccessToken, good: `{"scope":"others"}`,
			types: map[string]string{"scope": `["all"]`}, optional: true,
		},
		{
			method: "POST", path: "/admin/users", bearer: adminToken, good: `{"username":"alice","password":"long enough by far"}`,
			types:    map[string]string{"username": `null`, "password": `1e9`, "roles": `"editor"`},
			required: []string{"username", "password"}, bounded: map[string]int{"username": 512, "password": 1024},
		},
		{
			method: "PUT", path: "/admin/users/bob/password", bearer: adminToken, good: `{"password":"long enough by far"}`,
			types: map[string]string{"password": `true`}, required: []string{"password"}, bounded: map[string]int{"password": 1024},
		},
		{
			method: "PUT", path: "/admin/users/bob/roles", bearer: adminToken, good: `{"roles":[]}`,
			types: map[string]string{"roles": `[1]`}, required: []string{"roles"},
		},
		{
			method: "POST", path: "/admin/revocations", bearer: adminToken, good: `{"kind":"jti","id":"x"}`,
			types: map[string]string{"kind": `1`, "id": `[null]`}, required: []string{"kind"}, bounded: map[string]int{"id": 512},
		},
		{
			method: "POST", path: "/admin/explain", bearer: adminToken, good: `{"token":"x"}`,
			types: map[string]string{"token": `["x"]`}, required: []string{"token"}, bounded: map[string]int{"token": 10 << 10},
		},
		{
			method: "POST", path: "/admin/keys/nokey/revoke", bearer: adminToken, good: `{"dry_run":true}`,
			types: map[string]string{"dry_run": `"yes"`}, optional: true,
		},
	}
}

// bad is one body that must be refused, and the member the answer must name, if it is a member's fault.
type bad struct {
	name, body, field string
}

func (o object) bad() []bad {
	inner := strings.TrimSuffix(strings.TrimPrefix(o.good, "{"), "}")
	first, _, _ := strings.Cut(inner, ":")
	cases := []bad{
		{"array", `[]`, ""},
		{"string", `"x"`, ""},
		{"null", `null`, ""},
		{"cut off", o.good[:len(o.good)-1], ""},
		{"trailing", o.good + `x`, ""},
		{"two objects", o.good + o.good, ""},
		{"unknown", `{` + inner + `,"evil":1}`, "evil"},
		{"other case", `{` + inner + `,` + strings.ToUpper(first) + `:"x"}`, strings.ToUpper(strings.Trim(first, `"`))},
		{"duplicate", `{` + inner + `,` + inner + `}`, strings.Trim(first, `"`)},
		{"invalid UTF-8", "{\"x\":\"\xff\"}", ""},
		{"lone surrogate", `{"x":"\ud800"}`, ""},
		{"deep", `{"x":` + strings.Repeat("[", 30_000), ""},
		{"deep and closed", `{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, ""},
		{"many members", `{` + strings.Repeat(`"x":1,`, 5000) + `"y":1}`, "x"},
		{"comment", `{/**/}`, ""},
		{"huge number", `{"x":1` + strings.Repeat("0", 1000) + `}`, "x"},
	}
	for member, value := range o.types {
		cases = append(cases,
			bad{member + " of the wrong type", `{"` + member + `":` + value + `}`, member},
			bad{member + " null", `{"` + member + `":null}`, member},
		)
	}
	for _, member := range o.required {
		cases = append(cases, bad{member + " missing", `{}`, member})
	}
	for member, limit := range o.bounded {
		cases = append(cases,
			bad{member + " too long", `{"` + member + `":"` + strings.Repeat("a", limit+1) + `"}`, member},
			bad{member + " empty", `{"` + member + `":""}`, member},
		)
	}
	return cases
}

// Every endpoint that takes an object refuses every malformed one with 400, naming the member at fault.
func TestBadObjects(t *testing.T) {
	e := newEnv(t)
	for _, o := range e.objects() {
		for _, c := range o.bad() {
			t.Run(o.method+o.path+" "+c.name, func(t *testing.T) {
				a := e.do(request{method: o.method, path: o.path, bearer: o.bearer, json: c.body})
				p := wantProblem(t, a, http.StatusBadRequest, "bad_request")
				named := c.field == ""
				for _, f := range p.Errors {
					named = named || f.Field == c.field
				}
				if !named {
					t.Errorf("%s is not named: %s", c.field, a.body)
				}
				if len(a.body) > 8<<10 {
					t.Errorf("the answer has %d bytes", len(a.body))
				}
			})
		}
	}
}

// The body's kind and size are checked before it is read.
func TestBadBodies(t *testing.T) {
	e := newEnv(t)
	for _, o := range e.objects() {
		t.Run(o.method+o.path, func(t *testing.T) {
			for name, c := range map[string]struct {
				header http.Header
				body   string
				status int
			}{
				"text":       {http.Header{"Content-Type": {"text/plain"}}, o.good, 415},
				"form":       {http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, o.good, 415},
				"no type":    {http.Header{"Content-Type": nil}, o.good, 415},
				"two types":  {http.Header{"Content-Type": {"application/json", "text/plain"}}, o.good, 415},
				"latin 1":    {http.Header{"Content-Type": {"application/json; charset=iso-8859-1"}}, o.good, 415},
				"compressed": {http.Header{"Content-Encoding": {"gzip"}}, o.good, 415},
				"identity":   {http.Header{"Content-Encoding": {"identity"}}, o.good, 415},
				"too large":  {nil, `{"x":"` + strings.Repeat("a", 64<<10) + `"}`, 413},
			} {
				r := request{method: o.method, path: o.path, bearer: o.bearer, json: c.body, header: c.header}
				a := e.do(r)
				if a.status != c.status {
					t.Errorf("%s: status %d, want %d: %s", name, a.status, c.status, a.body)
				}
			}
			a := e.do(request{method: o.method, path: o.path, bearer: o.bearer})
			if o.optional == (a.status == http.StatusBadRequest) {
				t.Errorf("without a body: status %d", a.status)
			}
			utf8 := http.Header{"Content-Type": {"application/json; charset=UTF-8"}}
			if a := e.do(request{method: o.method, path: o.path, bearer: o.bearer, json: o.good, header: utf8}); a.status == 415 {
				t.Error("charset=UTF-8 is refused")
			}
		})
	}
}

// T33: a body that says it is enormous is refused before it is sent.
func TestEnormousBody(t *testing.T) {
	e := newEnv(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.publicURL, "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{")
	must(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("status %d, connection kept: %v", resp.StatusCode, !resp.Close)
	}
}

// Every path answers methods it does not have with 405 and Allow, and every other path with 404.
func TestUnknownPathsAndMethods(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{
		"/v1/login", "/v1/refresh", "/v1/logout", "/v1/me", "/v1/sessions", "/v1/sessions/x", "/v1/verify", "/oauth2/introspect",
		"/oauth2/revoke", "/.well-known/jwks.json", "/openapi.yaml", "/admin/users", "/admin/users/x", "/admin/users/x/password",
		"/admin/sessions", "/admin/revocations", "/admin/explain", "/admin/keys", "/admin/keys/rotate", "/leader", "/livez", "/metrics",
	} {
		for _, method := range []string{"PATCH", "TRACE", "FROBNICATE"} {
			a := e.do(request{method: method, path: path, bearer: adminToken})
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
		a := e.do(request{method: "OPTIONS", path: path})
		if a.status != http.StatusNoContent || a.header.Get("Allow") == "" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("OPTIONS %s: %d %v", path, a.status, a.header)
		}
	}
	wantStatus(t, e.do(request{method: "OPTIONS", path: "/nowhere"}), http.StatusNotFound)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/login/", "/V1/login", "/v1//me", "/v1/me/..", "/%2e%2e/etc/passwd",
		"/debug/pprof/", "/debug/vars", "/.well-known/", "/favicon.ico", "/admin/", "/admin/users/", "/admin/keys/x",
		"/oauth2/token", "/v1/login%00", "/v1/login%0d%0aX:y", "/" + strings.Repeat("a", 8000),
	} {
		if a := e.do(request{method: "GET", path: path, bearer: adminToken}); a.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, a.status)
		}
	}
}

// T31: nothing of the admin listener is on the public one.
func TestAdminIsNotPublic(t *testing.T) {
	e := newEnv(t)
	for _, route := range e.admin.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if path == "/openapi.yaml" || method == "HEAD" {
			continue
		}
		path = strings.NewReplacer("{username}", "alice", "{id}", "x", "{kid}", "x").Replace(path)
		a := e.send(e.newRequest(e.publicURL, request{method: method, path: path, bearer: adminToken}))
		wantProblem(t, a, http.StatusNotFound, "not_found")
	}
}

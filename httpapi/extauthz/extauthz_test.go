package extauthz_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/authd-project/authd/httpapi/extauthz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// running is a server, until stop is called, with a client.
type running struct {
	authv3.AuthorizationClient
	addr string
	stop func() error
}

func start(t *testing.T, c extauthz.Config) *running {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- extauthz.New(c).Serve(ctx, l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	stop := func() error {
		cancel()
		err := <-served
		served <- err
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serving: %v", err)
		}
		_ = conn.Close()
	})
	return &running{authv3.NewAuthorizationClient(conn), l.Addr().String(), stop}
}

// awaitClosed returns once the server accepts no more.
func (r *running) awaitClosed(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server accepts connections")
		}
	}
}

// question is what Envoy sends about a request with these headers.
func question(headers map[string]string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "192.0.2.7"},
		}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: http.MethodPost, Path: "/orders?access_token=x", Headers: headers, Body: "a body",
		}},
	}}
}

func check(t *testing.T, client authv3.AuthorizationClient, q *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := client.Check(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A question is GET /v1/verify with the credentials of the request in question, and nothing else of it.
func TestQuestions(t *testing.T) {
	var got *http.Request
	client := start(t, extauthz.Config{Verify: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 {
			t.Errorf("a body of %d bytes, %v", len(body), err)
		}
		w.WriteHeader(http.StatusOK)
	})})
	list := question(nil)
	list.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: "Authorization", RawValue: []byte("Bearer a")}, {Key: "authorization", Value: "Bearer b"},
		{Key: "cookie", RawValue: []byte("c=d")}, {Key: "x-auth-subject", RawValue: []byte("mallory")},
	}}
	for name, c := range map[string]struct {
		q                     *authv3.CheckRequest
		authorization, cookie []string
	}{
		"map": {question(map[string]string{"authorization": "Bearer a,Bearer b", "cookie": "c=d", "x-auth-subject": "mallory"}),
			[]string{"Bearer a,Bearer b"}, []string{"c=d"}},
		"list":    {list, []string{"Bearer a", "Bearer b"}, []string{"c=d"}},
		"none":    {question(nil), nil, nil},
		"nothing": {&authv3.CheckRequest{}, nil, nil},
	} {
		check(t, client, c.q)
		if got.Method != http.MethodGet || got.URL.String() != "/v1/verify" || got.RequestURI != "/v1/verify" {
			t.Errorf("%s: %s %s", name, got.Method, got.RequestURI)
		}
		if host, _, err := net.SplitHostPort(got.RemoteAddr); err != nil || host != "127.0.0.1" {
			t.Errorf("%s: asked by %q", name, got.RemoteAddr)
		}
		h := got.Header
		if !slices.Equal(h["Authorization"], c.authorization) || !slices.Equal(h["Cookie"], c.cookie) || h["X-Auth-Subject"] != nil {
			t.Errorf("%s: headers %v", name, h)
		}
		if from := h.Get("X-Forwarded-For"); name != "nothing" && from != "192.0.2.7" {
			t.Errorf("%s: for %q", name, from)
		}
	}
}

// A 200 lets the request through under authd's names alone.
func TestAllowed(t *testing.T) {
	client := start(t, extauthz.Config{Verify: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Auth-Subject"] = []string{"alice"}
		w.Header()["X-Auth-Session"] = []string{"s1"}
		w.Header()["X-Auth-Scope"] = []string{""}
		w.WriteHeader(http.StatusOK)
	})})
	a := check(t, client, question(nil))
	ok := a.GetOkResponse()
	if codes.Code(a.GetStatus().GetCode()) != codes.OK || ok == nil {
		t.Fatalf("the answer is %v", a)
	}
	set := map[string]string{}
	for _, h := range ok.GetHeaders() {
		if h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			t.Errorf("%s is not replaced", h.GetHeader().GetKey())
		}
		set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	if len(set) != 2 || set["x-auth-subject"] != "alice" || set["x-auth-session"] != "s1" {
		t.Errorf("set %v", set)
	}
	for _, name := range []string{
		"x-auth-scope", "x_auth_scope", "x_auth-scope", "x-auth_scope", "x_auth_subject", "x_auth-session", "x-auth_subject",
	} {
		if !slices.Contains(ok.GetHeadersToRemove(), name) {
			t.Errorf("%s is not removed", name)
		}
	}
	if slices.Contains(ok.GetHeadersToRemove(), "x-auth-subject") {
		t.Error("x-auth-subject is removed again")
	}
}

// Anything but a 200 is denied, with its status and what the client needs.
func TestDenied(t *testing.T) {
	var answer int
	client := start(t, extauthz.Config{Verify: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("Retry-After", "1")
		w.Header().Set("X-Auth-Subject", "alice")
		w.WriteHeader(answer)
		fmt.Fprint(w, "why")
	})})
	for status, want := range map[int]codes.Code{
		201: codes.PermissionDenied, 204: codes.PermissionDenied, 302: codes.PermissionDenied, 401: codes.Unauthenticated,
		403: codes.PermissionDenied, 429: codes.ResourceExhausted, 500: codes.PermissionDenied, 503: codes.Unavailable,
	} {
		answer = status
		a := check(t, client, question(nil))
		no := a.GetDeniedResponse()
		if codes.Code(a.GetStatus().GetCode()) != want || int(no.GetStatus().GetCode()) != status || no.GetBody() != "why" {
			t.Errorf("%d becomes %v", status, a)
		}
		set := map[string]string{}
		for _, h := range no.GetHeaders() {
			set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
		}
		if len(set) != 2 || set["www-authenticate"] != "Bearer" || set["retry-after"] != "1" {
			t.Errorf("%d: headers %v", status, set)
		}
	}
}

func TestLargeQuestionsAreRefused(t *testing.T) {
	client := start(t, extauthz.Config{Verify: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a question of 1 MiB is looked at")
	})})
	_, err := client.Check(t.Context(), question(map[string]string{"a": strings.Repeat("b", 1<<20)}))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("answered %v", err)
	}
}

// Questions that have begun are answered when the server stops, unless they outlast its patience.
func TestDrain(t *testing.T) {
	for name, drain := range map[string]time.Duration{"answered": patience, "cut off": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			asked, finish := make(chan struct{}), make(chan struct{})
			client := start(t, extauthz.Config{Drain: drain, Verify: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(asked)
				select {
				case <-finish:
				case <-r.Context().Done():
				}
				w.WriteHeader(http.StatusOK)
			})})
			answered := make(chan error, 1)
			go func() {
				_, err := client.Check(t.Context(), question(nil))
				answered <- err
			}()
			<-asked
			stopped := make(chan error, 1)
			go func() { stopped <- client.stop() }()
			if drain == patience {
				client.awaitClosed(t)
				close(finish)
			}
			if err := <-answered; (err == nil) != (drain == patience) {
				t.Errorf("the question is answered %v", err)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

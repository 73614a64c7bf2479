package extauthz

import (
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// credentials are the headers of the request in question that may say who sends it. Envoy sends headers as a map, in which
// those of one name are joined, or, with encode_raw_headers, as a list.
func credentials(q *authv3.CheckRequest) http.Header {
	asked := q.GetAttributes().GetRequest().GetHttp()
	found := http.Header{}
	add := func(name, value string) {
		for _, wanted := range []string{"Authorization", "Cookie"} {
			if strings.EqualFold(name, wanted) {
				found.Add(wanted, value)
			}
		}
	}
	for name, value := range asked.GetHeaders() {
		add(name, value)
	}
	for _, h := range asked.GetHeaderMap().GetHeaders() {
		if len(h.GetRawValue()) > 0 {
			add(h.GetKey(), string(h.GetRawValue()))
		} else {
			add(h.GetKey(), h.GetValue())
		}
	}
	return found
}

// identity are the headers by which a service learns who sends a request.
var identity = []string{"x-auth-subject", "x-auth-session", "x-auth-scope"}

// translated is the answer as Envoy understands it.
func (a *answer) translated() *authv3.CheckResponse {
	if a.status == http.StatusOK {
		return a.allowed()
	}
	return a.denied()
}

// allowed replaces what the client sent in the headers of identity. One that would be empty is removed instead, and so
// are those that are the same to a service of the CGI kind.
func (a *answer) allowed() *authv3.CheckResponse {
	ok := &authv3.OkHttpResponse{}
	for _, name := range identity {
		if value := a.Header().Get(name); value != "" {
			ok.Headers = append(ok.Headers, header(name, value))
		} else {
			ok.HeadersToRemove = append(ok.HeadersToRemove, name)
		}
		ok.HeadersToRemove = append(ok.HeadersToRemove, disguises(name)...)
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok},
	}
}

// disguises are the spellings of a name with three parts that have an underscore for a hyphen.
func disguises(name string) []string {
	parts := strings.SplitN(name, "-", 3)
	a, b, c := parts[0], parts[1], parts[2]
	return []string{a + "_" + b + "_" + c, a + "_" + b + "-" + c, a + "-" + b + "_" + c}
}

// denied passes on everything that the client shall see.
func (a *answer) denied() *authv3.CheckResponse {
	no := &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: typev3.StatusCode(a.status)},
		Body:   a.body.String(),
	}
	for _, name := range []string{"WWW-Authenticate", "Retry-After", "Content-Type", "Cache-Control", "RateLimit", "RateLimit-Policy"} {
		if value := a.Header().Get(name); value != "" {
			no.Headers = append(no.Headers, header(strings.ToLower(name), value))
		}
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(code(a.status))},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: no},
	}
}

// code is never OK, by which Envoy would let the request through.
func code(status int) codes.Code {
	switch status {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	default:
		return codes.PermissionDenied
	}
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

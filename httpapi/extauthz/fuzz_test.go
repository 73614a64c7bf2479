package extauthz

import (
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

// Of a question, whatever it is, nothing but credentials becomes part of the request that is asked about it.
func FuzzQuestion(f *testing.F) {
	seed := func(h *authv3.AttributeContext_HttpRequest) {
		b, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: h}}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(&authv3.AttributeContext_HttpRequest{Headers: map[string]string{"authorization": "Bearer a", "x-auth-subject": "mallory"}})
	seed(&authv3.AttributeContext_HttpRequest{HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: "Authorization", RawValue: []byte("Bearer a\xff")}, {Key: "COOKIE", Value: "a=b"}, nil,
	}}})
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, question []byte) {
		var q authv3.CheckRequest
		if proto.Unmarshal(question, &q) != nil {
			return
		}
		asked := New(Config{Verify: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Header {
				if !strings.Contains("Authorization Cookie X-Forwarded-For", name) {
					t.Errorf("the request has the header %q", name)
				}
			}
			w.WriteHeader(http.StatusUnauthorized)
		})})
		if a, err := asked.Check(t.Context(), &q); err != nil || a.GetOkResponse() != nil || a.GetStatus().GetCode() == 0 {
			t.Errorf("answered %v, %v", a, err)
		}
	})
}

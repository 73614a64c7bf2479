package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/internal/surfacetest"
	"github.com/authd-project/authd/token"
)

func TestHandler(t *testing.T) {
	surfacetest.Run(t, func(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) func(...string) surfacetest.Reply {
		return func(authorization ...string) surfacetest.Reply {
			w := ask(guard, authorization, opts...)
			reply := surfacetest.Reply{Status: w.Code, Header: w.Header()}
			if w.Code == http.StatusOK {
				reply.Subject = w.Body.String()
			} else {
				reply.Body = w.Body.String()
			}
			return reply
		}
	})
}

// What comes as a token alone is decided like what comes in a header.
func TestVerify(t *testing.T) {
	surfacetest.Run(t, func(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) func(...string) surfacetest.Reply {
		route := guard.Route(opts...)
		return func(authorization ...string) surfacetest.Reply {
			var claims *token.Claims
			var err error
			if raw, one := strings.CutPrefix(strings.Join(authorization, ","), "Bearer "); one && len(authorization) == 1 {
				claims, err = guard.Verify(t.Context(), raw, opts...)
			} else {
				claims, err = route.AuthorizeHeader(t.Context(), authorization)
			}
			if err != nil {
				return surfacetest.Reply{Status: route.Answer(err).Status}
			}
			return surfacetest.Reply{Status: http.StatusOK, Subject: claims.Subject}
		}
	})
}

// A context with claims takes the place of a guard where only what lies behind it is tested.
func TestWithClaims(t *testing.T) {
	want := &token.Claims{Subject: "alice"}
	if claims, ok := middleware.ClaimsFrom(middleware.WithClaims(t.Context(), want)); claims != want || !ok {
		t.Errorf("have %v, %v", claims, ok)
	}
}

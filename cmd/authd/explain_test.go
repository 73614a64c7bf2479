package main_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// explain asks a running authd about a token.
func (s *server) explain(t *testing.T, token string) adminapi.Explanation {
	t.Helper()
	return explained(t, token, s.authd(t, token, "explain", "--json"))
}

func explained(t *testing.T, token, out string) (x adminapi.Explanation) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if signature := token[strings.LastIndexByte(token, '.')+1:]; len(signature) > 8 && strings.Contains(out, signature) {
		t.Errorf("the signature was printed:\n%s", out)
	}
	return x
}

// failed lists the checks that did not pass, and the axes that hit.
func failed(x adminapi.Explanation) string {
	var list []string
	for _, c := range x.Checks {
		if c.Result != "passed" {
			list = append(list, c.Name)
		}
	}
	for _, r := range x.Revocations {
		if r.Result == "hit" {
			list = append(list, "by "+r.Kind)
		}
	}
	return strings.Join(list, " ")
}

// An authd explains tokens that are good, revoked on each axis, of another key, issuer or audience, or none.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"embedded": nil, "redis": {"--redis", "redis://" + testenv.Redis(t), "--kek-file", newKEK(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := serve(t, data, append([]string{"--demo"}, args...)...)
			if x := s.explain(t, s.login(t, demoUser, demoPassword).AccessToken); x.Verdict != "accepted" || failed(x) != "" || x.Session.State != "live" {
				t.Errorf("a good token: %+v", x)
			}
			other := serve(t, t.TempDir(), "--demo", "--audience", "others").login(t, demoUser, demoPassword).AccessToken
			if x := s.explain(t, other); x.Reason != "unknown_key" || failed(x) != "key signature issuer audience" || x.Key.State != "unknown" {
				t.Errorf("of another issuer: %s %+v", failed(x), x)
			}
			for _, axis := range []string{"jti", "sid", "sub", "client_id", "all"} {
				g := s.login(t, demoUser, demoPassword)
				claims := claimsOf(t, g.AccessToken)
				args := map[string][]string{
					"jti": {"jti", claims.ID}, "sid": {"sid", claims.SessionID}, "sub": {"sub", claims.Subject},
					"client_id": {"client_id", claims.ClientID}, "all": {"all", "--yes"},
				}[axis]
				s.authd(t, "", append([]string{"revoke"}, args...)...)
				x := s.explain(t, g.AccessToken)
				i := slices.IndexFunc(x.Revocations, func(r adminapi.TokenRevocation) bool { return r.Kind == axis })
				if x.Reason != "revoked" || !strings.Contains(failed(x), "by "+axis) || i < 0 || x.Revocations[i].WrittenBy != "heard" {
					t.Errorf("revoked by %s: %s, %+v", axis, failed(x), x.Revocations)
				}
			}
			if x := s.explain(t, "garbage"); x.Reason != "malformed" || !strings.HasPrefix(failed(x), "form") {
				t.Errorf("garbage: %s", failed(x))
			}

			g := s.login(t, demoUser, demoPassword)
			s.authd(t, "", "keys", "revoke", keyID(t, g.AccessToken), "--yes")
			until(t, "the key to be explained as revoked", func() bool {
				x := s.explain(t, g.AccessToken)
				return strings.Contains(failed(x), "by kid") && x.Key.State == "revoked"
			})
			until(t, "a login under the next key", func() bool {
				body := map[string]string{"username": demoUser, "password": demoPassword}
				return s.call(t, http.MethodPost, "/v1/login", "", body, &g) == http.StatusOK
			})
			s.logout(t, g, "session")
			s.terminate(t)
			off := append([]string{
				"explain", "--json", "--data", data, "--admin-listen", "127.0.0.1:1", "--issuer", s.URL,
			}, args...)
			out, err := command(t.Context(), g.AccessToken, off...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			x := explained(t, g.AccessToken, out)
			if failed(x) != "revocation by sid" || x.Session.State != "ended" || x.Revocations[1].WrittenBy != "session" {
				t.Errorf("without a server: %s, %+v, %+v", failed(x), x.Session, x.Revocations)
			}
		})
	}
}

// A key that has retired, and one that the ring has dropped since, are told apart from one that never was.
func TestExplainRetiredKey(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), append(fastestRotation, "--demo")...)
	g := s.login(t, demoUser, demoPassword)
	until(t, "a rotation", func() bool {
		x := s.explain(t, g.AccessToken)
		return x.Key.State == "retired" && x.Key.Until != nil
	})
	until(t, "the key to be dropped, and the token to expire", func() bool {
		x := s.explain(t, g.AccessToken)
		return x.Key.State == "unknown" && strings.Contains(failed(x), "expiry") && strings.HasPrefix(failed(x), "key signature")
	})
}

// The commands of docs/explain.md print what it says.
func TestExplainTranscript(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	env := append(path(), "AUTHD_DATA="+s.Data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://"))
	places := strings.NewReplacer("http://127.0.0.1:8080", s.URL)
	docs.Shell{Env: env, Places: places}.Run(t, docs.Steps(t, "docs/explain.md"))
}

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/token"
)

// statusOf reads what a token says of its status.
func statusOf(t *testing.T, g grant) token.StatusReference {
	t.Helper()
	u, err := token.InspectUnverified(g.AccessToken)
	if err != nil || u.Defect != nil {
		t.Fatal(err, u.Defect)
	}
	var c token.Claims
	if err := json.Unmarshal(u.Claims, &c); err != nil {
		t.Fatal(err)
	}
	return c.Status
}

// remoteKeys follows the keys of an authd until the test ends.
func remoteKeys(t *testing.T, url string) *keys.Remote {
	t.Helper()
	remote, err := keys.NewRemote(keys.RemoteConfig{URL: url + "/.well-known/jwks.json"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- remote.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return remote
}

// listVerifier is a service that knows the issuer's URL and goes by status lists, not by the feed.
func listVerifier(t *testing.T, issuer string) *token.Verifier {
	t.Helper()
	remote := remoteKeys(t, issuer)
	checker, err := statuslist.NewChecker(statuslist.CheckerConfig{Issuer: issuer, Keys: remote, Wait: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(checker.Close)
	v, err := token.NewVerifier(token.VerifierConfig{Issuer: issuer, Audience: []string{"authd"}, Keys: remote, Revocations: checker})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A token is good by its list after the login, and refused by it soon after the logout; the lists of before a crash are
// those of after it, and no place is given out twice.
func TestStatusLists(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	args := []string{"--demo", "--status-lists", "--status-list-ttl", "1s"}
	s := serve(t, data, args...)
	listen := strings.TrimPrefix(s.URL, "http://")
	taken := make(map[token.StatusReference]bool)
	var shown struct {
		Status struct {
			List struct {
				Index uint64 `json:"idx"`
				URI   string
			} `json:"status_list"`
		}
	}
	if err := json.Unmarshal([]byte("{"+docs.Text(t, "docs/status-list.md", "json", 0)+"}"), &shown); err != nil {
		t.Fatal(err)
	}
	places := regexp.MustCompile(`^(https://auth\.example\.com|` + regexp.QuoteMeta(s.URL) + `)/v1/statuslists/\d+-\d+$`)
	if !places.MatchString(shown.Status.List.URI) || shown.Status.List.Index == 0 {
		t.Errorf("the page shows %+v", shown.Status)
	}
	login := func() grant {
		g := s.login(t, "demo", "correct horse battery staple")
		ref := statusOf(t, g)
		if taken[ref] || !places.MatchString(ref.URI) {
			t.Fatalf("place %+v: taken %v", ref, taken[ref])
		}
		taken[ref] = true
		return g
	}
	v := listVerifier(t, s.URL)
	verify := func(g grant) error {
		_, err := v.Verify(t.Context(), g.AccessToken)
		return err
	}
	first, second := login(), login()
	if err := errors.Join(verify(first), verify(second)); err != nil {
		t.Fatalf("after the login: %v", err)
	}
	s.logout(t, first, "session")
	until(t, "the list says that the token is revoked", func() bool { return errors.Is(verify(first), revocation.ErrRevoked) })
	if err := verify(second); err != nil {
		t.Errorf("another session's token: %v", err)
	}
	checkPublishedLists(t, s, statusOf(t, second).URI)

	s.kill()
	s = serve(t, data, append(args, "--listen", listen)...)
	for range 5 {
		login()
	}
	until(t, "the list after a crash", func() bool { return errors.Is(verify(first), revocation.ErrRevoked) && verify(second) == nil })
}

// checkPublishedLists looks at the HTTP interface as any client would.
func checkPublishedLists(t *testing.T, s *server, uri string) {
	t.Helper()
	var meta struct {
		Lists string `json:"status_list_aggregation_endpoint"`
	}
	var all struct {
		Lists []string `json:"status_lists"`
	}
	if status := getJSON(t, s.URL+"/.well-known/oauth-authorization-server", &meta); status != http.StatusOK {
		t.Fatalf("metadata: %d", status)
	}
	if status := getJSON(t, meta.Lists, &all); status != http.StatusOK || len(all.Lists) != 1 || all.Lists[0] != uri {
		t.Errorf("lists: %d %v, want %s", status, all.Lists, uri)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // which asks for gzip and unpacks it
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != statuslist.MediaType || resp.Header.Get("Cache-Control") != "public, max-age=1" || !resp.Uncompressed {
		t.Errorf("%d bytes, %v, compressed %v, %v", len(raw), err, resp.Uncompressed, resp.Header)
	}
	if s.verify(t, string(raw)) != http.StatusUnauthorized {
		t.Error("the list passes as an access token")
	}
}

// Two authd on one Redis give out different places, and each publishes what the other has revoked.
func TestStatusListsInRedis(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, 2, "--redis", "redis://"+testenv.Redis(t), "--status-lists", "--status-list-ttl", "1s")
	ring := remoteKeys(t, r.servers[0].URL)
	taken := make(map[token.StatusReference]bool)
	var grants []grant
	for i := range 10 {
		g := r.servers[i%2].login(t, "alice", alicesPassword)
		ref := statusOf(t, g)
		if taken[ref] || ref.URI == "" {
			t.Fatalf("place %+v: taken %v", ref, taken[ref])
		}
		taken[ref] = true
		grants = append(grants, g)
	}
	r.servers[0].logout(t, grants[0], "session")
	for _, s := range r.servers {
		until(t, "each authd publishes the revocation", func() bool {
			return published(t, ring, s, statusOf(t, grants[0])) == statuslist.Invalid
		})
		if got := published(t, ring, s, statusOf(t, grants[1])); got != statuslist.Valid {
			t.Errorf("another session's token: %v", got)
		}
	}
}

// published is what the list of one server says of a token.
func published(t *testing.T, ring token.VerificationKeys, s *server, ref token.StatusReference) statuslist.Status {
	t.Helper()
	_, name, _ := strings.Cut(ref.URI, "/v1/statuslists/")
	list, err := statuslist.Open(t.Context(), ring, s.get(t, "/v1/statuslists/"+name), statuslist.Limits{TokenBytes: 1 << 20, ListBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	status, ok := list.List.Get(ref.Index)
	if !ok {
		t.Fatalf("index %d is beyond the list", ref.Index)
	}
	return status
}

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

// knownUsers is how many accounts there are to be found out.
const knownUsers = 200

// serveKnownUsers starts an authd with users known0, known1 and so on, one that is disabled and one without a password.
func serveKnownUsers(t *testing.T) *server {
	t.Helper()
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hasher.Hash(t.Context(), alicesPassword)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	users, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(data, "users.db"), sqlstore.Config{Hasher: hasher})
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, hash string) {
		if _, err := users.Import(t.Context(), name, hash); err != nil {
			t.Fatal(err)
		}
	}
	for i := range knownUsers {
		add(fmt.Sprint("known", i), hash)
	}
	add("disabled", hash)
	add("nopassword", "")
	if _, err := users.SetDisabled(t.Context(), "disabled", true); err != nil {
		t.Fatal(err)
	}
	if err := users.Close(); err != nil {
		t.Fatal(err)
	}
	return serve(t, data, "--trusted-proxies", "127.0.0.1/32")
}

// glimpse is all that somebody who tries a login gets to see of the answer, but for what differs each time.
type glimpse struct {
	status int
	header string
	body   string
	took   time.Duration
}

// tryFrom logs in from an address.
func (s *server) tryFrom(t *testing.T, address, username, password string) glimpse {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	var resp *http.Response
	var began time.Time
	// A body that is too long is refused before it has come: the connection may be gone before the answer is read.
	for attempt := range 20 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/login", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", address)
		began = time.Now()
		if resp, err = http.DefaultClient.Do(req); err == nil {
			break
		}
		if len(body) < 64<<10 || attempt == 19 {
			t.Fatal(err)
		}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	var header strings.Builder
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		value := fmt.Sprint(resp.Header[name])
		if name == "Date" || name == "X-Request-Id" || name == "Retry-After" {
			value = "…"
		}
		fmt.Fprintln(&header, name, value)
	}
	text := string(answer)
	if id := resp.Header.Get("X-Request-Id"); id != "" {
		text = strings.ReplaceAll(text, id, "…")
	}
	return glimpse{resp.StatusCode, header.String(), text, took}
}

// T4: whoever tries a login learns the same of an account that exists and of one that does not, whatever the state of the
// account and whatever the password.
func TestAnswersDoNotTellWhoExists(t *testing.T) {
	t.Parallel()
	s := serveKnownUsers(t)
	next := 0
	fresh := func() string { next++; return fmt.Sprintf("2001:db8:1:%x::1", next) } // an address without a history
	for name, password := range map[string]string{
		"wrong": "copper lantern giraffe", "right for others": alicesPassword, "empty": "",
		"a megabyte": strings.Repeat("x", 1<<20), "1025 bytes": strings.Repeat("x", 1025), "NUL": "a\x00b",
	} {
		want := s.tryFrom(t, fresh(), "nobody", password)
		if want.status == http.StatusOK {
			t.Fatalf("%s: nobody logs in", name)
		}
		for _, username := range []string{"known0", "disabled", "nopassword", "another nobody", strings.Repeat("n", 129)} {
			if username == "known0" && password == alicesPassword {
				continue
			}
			got := s.tryFrom(t, fresh(), username, password)
			if got.status != want.status || got.header != want.header || got.body != want.body {
				t.Errorf("%s password: %s is answered\n%d\n%s%s\nand nobody\n%d\n%s%s", name, username,
					got.status, got.header, got.body, want.status, want.header, want.body)
			}
		}
	}

	// Beyond the limit the right password is answered as a wrong one of nobody.
	limited := func(username, password string) glimpse {
		address := fresh()
		for range 9 {
			s.tryFrom(t, address, username, "wrong")
		}
		return s.tryFrom(t, address, username, password)
	}
	known, unknown := limited("known1", alicesPassword), limited("nobody at all", "wrong")
	if known.status != http.StatusTooManyRequests || known.status != unknown.status || known.header != unknown.header || known.body != unknown.body {
		t.Errorf("beyond the limit a known user is answered\n%+v\nand an unknown one\n%+v", known, unknown)
	}
}

// T4: how long a refusal takes does not tell either. Attempts at known and unknown users are interleaved, and compared in
// pairs by Wilcoxon's signed-rank test. Where it finds a difference, more is measured and all of it tested once more: a
// difference that is there only becomes more certain by that, one by chance or by noise goes.
func TestTimeDoesNotTellWhoExists(t *testing.T) {
	s := serveKnownUsers(t)
	const rounds = 4
	var known, unknown []float64
	for round := range rounds {
		for i := range knownUsers {
			address := fmt.Sprintf("2001:db8:%x:%x::1", round+2, i)
			measure := func(name string) float64 {
				a := s.tryFrom(t, address, name, "copper lantern giraffe")
				if a.status != http.StatusUnauthorized {
					t.Fatalf("%s is answered %d %s", name, a.status, a.body)
				}
				return a.took.Seconds() * 1e3
			}
			k, u := fmt.Sprint("known", i), fmt.Sprint("nobody", i)
			if rand.IntN(2) == 0 {
				known = append(known, measure(k))
				unknown = append(unknown, measure(u))
			} else {
				unknown = append(unknown, measure(u))
				known = append(known, measure(k))
			}
		}
		p, ratio := signedRank(known, unknown), median(known)/median(unknown)
		t.Logf("%d pairs: medians %.2f and %.2f ms, p = %.3f", len(known), median(known), median(unknown), p)
		if p > 0.01 && math.Abs(ratio-1) < 0.05 {
			return
		}
	}
	t.Error("known and unknown users can be told apart by the time that their refusals take")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// signedRank returns the probability, by Wilcoxon's signed-rank test with the normal approximation, that pairs of the same
// distribution differ as much as these.
func signedRank(a, b []float64) float64 {
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = a[i] - b[i]
	}
	slices.SortFunc(differences, func(x, y float64) int {
		switch x, y := math.Abs(x), math.Abs(y); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	var positive float64
	for rank, d := range differences {
		if d > 0 {
			positive += float64(rank + 1)
		}
	}
	n := float64(len(differences))
	mean, variance := n*(n+1)/4, n*(n+1)*(2*n+1)/24
	return math.Erfc(math.Abs(positive-mean) / math.Sqrt(2*variance))
}

// The test above sees a difference of two parts in a hundred, under noise of ten, and none where there is none.
func TestSignedRank(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pairs := func(shift float64) (a, b []float64) {
		for range 4 * knownUsers {
			load := 20 + 10*random.Float64()
			a = append(a, load*(1+0.1*random.NormFloat64()))
			b = append(b, load*(1+0.1*random.NormFloat64())+shift)
		}
		return a, b
	}
	if p := signedRank(pairs(0)); p < 0.05 {
		t.Errorf("without a difference p = %v", p)
	}
	if p := signedRank(pairs(0.5)); p > 0.01 {
		t.Errorf("with a difference p = %v", p)
	}
}

package main_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
)

// kekRotation is a cluster in which each authd has a key-encryption key file of its own, as they are distributed one by one.
type kekRotation struct {
	*replicas
	files []string // by server
}

// restart gives an authd other key-encryption keys and starts it anew, after an end in order or without notice.
func (r *kekRotation) restart(i int, how syscall.Signal, keks ...keys.KEK) {
	r.t.Helper()
	writeKEKs(r.t, r.files[i], keks...)
	s := r.servers[i]
	if how == syscall.SIGKILL {
		s.kill()
	} else {
		s.terminate(r.t)
	}
	r.servers[i] = serve(r.t, s.Data, append(slices.Clone(r.args), "--kek-file", r.files[i])...)
}

func writeKEKs(t *testing.T, file string, keks ...keys.KEK) {
	t.Helper()
	var lines strings.Builder
	for _, k := range keks {
		lines.WriteString(k.Reveal() + "\n")
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sealing returns what `authd keys list` says of key-encryption keys, by their names: what each seals, and what may go.
func (s *server) sealing(t *testing.T) (table map[string]string, mayGo string) {
	t.Helper()
	out := s.authd(t, "", "keys", "list")
	_, rest, found := strings.Cut(out, "KEY-ENCRYPTION KEY")
	if !found {
		t.Fatalf("keys list says nothing of key-encryption keys:\n%s", out)
	}
	table = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([0-9a-f]{16})\s+(\S+)\s+(\S+)\s+(\S+)$`).FindAllStringSubmatch(rest, -1) {
		table[m[1]] = strings.Join(m[2:], " ")
	}
	if m := regexp.MustCompile(`(?m)^([0-9a-f]{16}) seals nothing`).FindStringSubmatch(rest); m != nil {
		mayGo = m[1]
	}
	return table, mayGo
}

// startSealing starts n authd, each with a file of its own that has one key-encryption key.
func startSealing(t *testing.T, n int, kek keys.KEK) *kekRotation {
	t.Helper()
	r := &kekRotation{replicas: &replicas{t: t, args: []string{
		"--redis", "redis://" + testenv.Redis(t), "--issuer", "http://127.0.0.1:1", "--election-lease", lease.String(), "--refresh-replays=1000",
	}}}
	for i, folder := range sharedUsers(t, n) {
		r.files = append(r.files, newKEK(t))
		writeKEKs(t, r.files[i], kek)
		r.servers = append(r.servers, serve(t, folder, append(slices.Clone(r.args), "--kek-file", r.files[i])...))
	}
	r.awaitLeader(0)
	return r
}

// The key-encryption key is changed while people work: every authd gets the new one behind the old, then in front, then
// alone, one after another, some killed in between. No key is lost, no token is refused, no second factor either.
func TestKEKRotation(t *testing.T) {
	t.Parallel()
	old, next := keys.GenerateKEK(), keys.GenerateKEK()
	r := startSealing(t, 3, old)
	first := r.servers[0].login(t, "alice", alicesPassword)
	secret := r.servers[0].enrol(t, first)
	jwks := r.servers[0].jwks(t)
	check := func(when string) {
		t.Helper()
		for i, s := range r.servers {
			if status := s.verify(t, first.AccessToken); status != http.StatusOK {
				t.Fatalf("%s, authd %d answers %d to a valid token", when, i, status)
			}
			if _, status := s.refresh(t, first.RefreshToken); status != http.StatusOK {
				t.Fatalf("%s, authd %d answers %d to a refresh", when, i, status)
			}
			if s.jwks(t) != jwks {
				t.Fatalf("%s, authd %d publishes other keys", when, i)
			}
		}
	}
	for step, keks := range [][]keys.KEK{{old, next}, {next, old}, {next}} {
		for i := range r.servers {
			how := syscall.SIGTERM
			if r.servers[i].leader(t).Self {
				how = syscall.SIGKILL // whatever it was about to write
			}
			r.restart(i, how, keks...)
			check([]string{"with the new one behind", "with the new one in front", "with the new one alone"}[step])
		}
		if step == 0 {
			if table, mayGo := r.servers[0].sealing(t); table[old.ID()] != "yes yes yes" || table[next.ID()] != "- - -" || mayGo != next.ID() && mayGo != "" {
				t.Errorf("after the first round: %v, %q may go", table, mayGo)
			}
		}
		if step == 1 {
			until(t, "a ring that is sealed under the new key", func() bool {
				table, mayGo := r.servers[0].sealing(t)
				return table[next.ID()] == "yes yes yes" && table[old.ID()] == "- - -" && mayGo == old.ID()
			})
		}
	}
	r.servers[0].loginWithApp(t, "alice", secret)

	// Who was left behind with the old key alone does not start, and says why.
	writeKEKs(t, r.files[2], old)
	out, err := command(t.Context(), "", append([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--kek-file", r.files[2]}, r.args...)...)
	if err == nil || !strings.Contains(out, next.ID()) || !strings.Contains(out, "was not given") {
		t.Errorf("an authd with the old key alone: %v\n%s", err, out)
	}
}

// A new key in front at once, before the others have it, is the mistake to make. They go on with the ring that they know,
// for view-age; as soon as they have the key all is well, and no key was lost.
func TestKEKInFrontTooEarly(t *testing.T) {
	t.Parallel()
	old, next := keys.GenerateKEK(), keys.GenerateKEK()
	r := startSealing(t, 2, old)
	g := r.servers[0].login(t, "alice", alicesPassword)
	jwks := r.servers[0].jwks(t)
	left := r.servers[1]
	r.restart(0, syscall.SIGTERM, next, old)
	testenv.Freeze(t, left.cmd.Process.Pid) // so that the one with the new key leads, and seals
	until(t, "another leader", func() bool { return r.servers[0].leader(t).Self })
	until(t, "a ring under the new key", func() bool { table, _ := r.servers[0].sealing(t); return table[next.ID()] == "yes yes yes" })
	if err := left.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, "one left behind that says so, and goes on", func() bool {
		select {
		case <-left.done: // it was to lead, and could not
			return true
		default:
			return strings.Contains(left.out.String(), next.ID()) && left.verify(t, g.AccessToken) == http.StatusOK && left.jwks(t) == jwks
		}
	})
	r.restart(1, syscall.SIGKILL, next, old)
	r.awaitLeader(0)
	for i, s := range r.servers {
		if status := s.verify(t, g.AccessToken); status != http.StatusOK || s.jwks(t) != jwks {
			t.Errorf("afterwards authd %d answers %d", i, status)
		}
	}
}

package boltstore_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
)

// crashFile, when set in the environment, makes the test binary a process that revokes until it is killed.
const crashFile = "AUTHD_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		fmt.Fprintln(os.Stderr, revokeForever(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// revokeForever adds sessions from several goroutines and follows itself. Each acknowledged entry and each position
// delivered is a line on standard output, which is written once it is so and never before.
func revokeForever(path string) error {
	file, err := boltfile.Open(path)
	if err != nil {
		return err
	}
	store, err := boltstore.Open(file, boltstore.Options{})
	if err != nil {
		return err
	}
	for range 4 {
		go func() {
			for {
				e := revocation.Entry{Kind: revocation.Session, Expires: inAnHour()}
				_, _ = rand.Read(e.ID[:])
				if err := store.Add(context.Background(), e); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("entry %x\n", e.ID)
			}
		}()
	}
	return store.Follow(context.Background(), revocation.Position{}, func(b revocation.Batch) error {
		fmt.Printf("position %d\n", b.Position.Seq)
		return nil
	})
}

func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

// A process killed at any moment loses nothing that it acknowledged, and no follower has seen what the file does not
// hold.
func TestKill(t *testing.T) {
	const rounds = 12
	path := filepath.Join(t.TempDir(), "authd.db")
	rng := mrand.New(mrand.NewPCG(1, uint64(time.Now().UnixNano())))
	acked, last := map[revocation.ID]bool{}, uint64(0)
	for round := range rounds {
		// Also right after the start, when the file is being made or opened.
		lines := killAfter(t, path, rng.IntN(1+round*20))
		for _, line := range lines {
			switch word, value, _ := strings.Cut(line, " "); word {
			case "entry":
				var id revocation.ID
				if n, err := hex.Decode(id[:], []byte(value)); n != len(id) || err != nil {
					t.Fatalf("round %d: unexpected line %q", round, line)
				}
				acked[id] = true
			case "position":
				seq, err := strconv.ParseUint(value, 10, 64)
				if err != nil {
					t.Fatalf("round %d: unexpected line %q", round, line)
				}
				last = max(last, seq)
			default:
				t.Fatalf("round %d: unexpected line %q", round, line)
			}
		}
		held, position := contents(t, path)
		if position < last {
			t.Fatalf("round %d: a follower had seen change %d, the file ends at %d", round, last, position)
		}
		for id := range acked {
			if !held[id] {
				t.Fatalf("round %d: entry %x was acknowledged and is lost", round, id)
			}
		}
	}
	if len(acked) < 100 {
		t.Errorf("only %d entries were acknowledged in %d rounds", len(acked), rounds)
	}
}

// killAfter starts a process that revokes, kills it once it has said n lines, and returns all that it said.
func killAfter(t *testing.T, path string, n int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { _ = cmd.Process.Kill() }) // SIGKILL: nothing is flushed or closed
	if n == 0 {
		kill()
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break // half a line was never said
		}
		if lines = append(lines, strings.TrimSuffix(line, "\n")); len(lines) >= n {
			kill()
		}
	}
	_ = cmd.Wait() // it was killed
	return lines
}

// contents returns the sessions in the file and the number of its latest change.
func contents(t *testing.T, path string) (held map[revocation.ID]bool, position uint64) {
	t.Helper()
	store, file := open(t, path, boltstore.Options{})
	defer file.Close()
	held = map[revocation.ID]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	_ = store.Follow(ctx, revocation.Position{}, func(b revocation.Batch) error {
		for _, e := range b.Entries {
			held[e.ID] = true
		}
		position = b.Position.Seq
		if !b.AsOf.IsZero() {
			cancel()
		}
		return nil
	})
	return held, position
}

package logfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/audit/logfile"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("AUDIT_CRASH_FILE"); path != "" {
		crash(path)
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, cfg logfile.Config) *logfile.File {
	t.Helper()
	f, err := logfile.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func entries(t *testing.T, names ...string) (list []audit.Entry) {
	t.Helper()
	for _, name := range names {
		line, err := audit.Encode(audit.Event{Type: audit.Logout, SessionID: name, Time: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, audit.Entry{Line: line})
	}
	return list
}

func write(t *testing.T, f *logfile.File, names ...string) {
	t.Helper()
	if kept, err := f.Write(t.Context(), entries(t, names...)); kept != len(names) || err != nil {
		t.Fatalf("kept %d of %d: %v", kept, len(names), err)
	}
}

// read returns the "sid" of each line that is JSON.
func read(t *testing.T, path string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct{ SID string }
		if json.Unmarshal([]byte(line), &e) == nil {
			names = append(names, e.SID)
		}
	}
	return names
}

func verify(t *testing.T, paths ...string) (logfile.Report, error) {
	t.Helper()
	var v logfile.Verifier
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Read(bytes.NewReader(text)); err != nil {
			return v.Report, err
		}
	}
	return v.Report, nil
}

func wantWhole(t *testing.T, lines, torn int, paths ...string) {
	t.Helper()
	r, err := verify(t, paths...)
	if err != nil || r.Lines != lines || r.Torn != torn || r.Head == "" {
		t.Errorf("verified as %+v, %v; want %d lines and %d torn", r, err, lines, torn)
	}
}

func TestAppendsAcrossRestartsAndRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "audit.log")
	f := open(t, logfile.Config{Path: path})
	write(t, f, "a", "b")
	must(t, f.Close())

	f = open(t, logfile.Config{Path: path, SyncEvery: time.Millisecond})
	write(t, f, "c")
	must(t, os.Rename(path, path+".1"))
	write(t, f, "d")
	must(t, os.Remove(path))
	write(t, f, "e")
	must(t, f.Close())

	if got := fmt.Sprint(read(t, path+".1"), read(t, path)); got != "[a b c] [e]" {
		t.Errorf("files hold %s", got)
	}
	wantWhole(t, 3, 0, path+".1")
	if _, err := verify(t, path+".1", path); !errors.Is(err, logfile.ErrBroken) {
		t.Errorf("a removed file does not show: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestChainAcrossFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := open(t, logfile.Config{Path: path})
	write(t, f, "a", "b")
	must(t, os.Rename(path, path+".1"))
	must(t, os.WriteFile(path, nil, 0o600)) // by who rotates
	write(t, f, "c", "d")
	must(t, f.Close())
	wantWhole(t, 4, 0, path+".1", path)
	wantWhole(t, 2, 0, path) // the older ones may be gone
}

// Each way to change a file shows.
func TestTamperingShows(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	f := open(t, logfile.Config{Path: path})
	write(t, f, "a", "b", "c", "d")
	must(t, f.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	lines[3] += "\n"
	for name, changed := range map[string][]string{
		"changed":  {lines[0], strings.Replace(lines[1], `"sid":"b"`, `"sid":"x"`, 1), lines[2], lines[3]},
		"removed":  {lines[0], lines[2], lines[3]},
		"swapped":  {lines[0], lines[2], lines[1], lines[3]},
		"inserted": {lines[0], lines[1], lines[1], lines[2], lines[3]},
		"garbled":  {lines[0], "not a line\n", lines[2], lines[3]},
		"unlinked": {lines[0], "{}\n", lines[1], lines[2], lines[3]},
	} {
		other := filepath.Join(dir, name)
		must(t, os.WriteFile(other, []byte(strings.Join(changed, "")), 0o600))
		if r, err := verify(t, other); !errors.Is(err, logfile.ErrBroken) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	whole, err := verify(t, path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(strings.Join(lines[:3], "")), 0o600))
	if cut, err := verify(t, path); err != nil || cut.Head == whole.Head {
		t.Errorf("a cut end has the same head: %+v, %v", cut, err)
	}
}

// A line that a crash cut off does not swallow the next one, nor break the chain.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := open(t, logfile.Config{Path: path})
	write(t, f, "a", "b")
	must(t, f.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(whole, `{"v":1,"ti`...), 0o600))
	f = open(t, logfile.Config{Path: path})
	write(t, f, "c")
	must(t, f.Close())
	wantWhole(t, 3, 1, path)
	if got := fmt.Sprint(read(t, path)); got != "[a b c]" {
		t.Errorf("the file holds %s", got)
	}
}

// A disk that is full says so, keeps no half line, and the file goes on when there is room.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := open(t, logfile.Config{Path: path})
	write(t, f, "a")
	signal.Ignore(syscall.SIGXFSZ)
	limitFileSize(t, 1000) // the kernel cuts a write there, and refuses the next with EFBIG
	names := strings.Fields(strings.Repeat("name ", 40))
	kept, err := f.Write(t.Context(), entries(t, names...))
	if !errors.Is(err, syscall.EFBIG) || kept == 0 || kept == len(names) {
		t.Errorf("kept %d of %d, %v", kept, len(names), err)
	}
	if got := read(t, path); len(got) != kept+1 {
		t.Errorf("%d lines after %d were kept", len(got), kept+1)
	}
	wantWhole(t, kept+1, 0, path)
	limitFileSize(t, 1<<40)
	write(t, f, names[kept:]...)
	must(t, f.Close())
	wantWhole(t, 41, 0, path)
}

func limitFileSize(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = min(size, limit.Max)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
}

func TestFolderThatCannotBe(t *testing.T) {
	if _, err := logfile.Open(logfile.Config{Path: "/dev/null/audit.log"}); err == nil {
		t.Error("opened")
	}
	if _, err := logfile.Open(logfile.Config{Path: t.TempDir()}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
}

// crash records events, says which were confirmed, and goes on until it is killed.
func crash(path string) {
	f, err := logfile.Open(logfile.Config{Path: path, SyncEvery: time.Second})
	if err != nil {
		panic(err)
	}
	l, err := audit.New(audit.Config{Wait: time.Minute, Targets: []audit.Target{{Name: "file", Sink: f}}})
	if err != nil {
		panic(err)
	}
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d-%d", i, n)
				if err := l.Record(context.Background(), audit.Event{Type: audit.Logout, SessionID: name}); err != nil {
					panic(err)
				}
				fmt.Println(name) // one write
			}
		}()
	}
	select {}
}

// What was confirmed is in the file after kill -9, and the chain goes on after the next start.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	confirmed := 0
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "AUDIT_CRASH_FILE="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		buf := make([]byte, 1<<16)
		var text bytes.Buffer
		for text.Len() < 20_000 { // then it is in the middle of something
			n, err := out.Read(buf)
			must(t, err)
			text.Write(buf[:n])
		}
		must(t, cmd.Process.Kill())
		for {
			n, err := out.Read(buf)
			text.Write(buf[:n])
			if err != nil {
				break
			}
		}
		_ = cmd.Wait()
		in := map[string]int{}
		for _, name := range read(t, path) {
			in[name]++
		}
		for line := range strings.Lines(text.String()) {
			if name, whole := strings.CutSuffix(line, "\n"); whole {
				confirmed++
				if in[name] == 0 {
					t.Fatalf("round %d: %s was confirmed and is not in the file", round, name)
				}
			}
		}
		must(t, os.Rename(path, fmt.Sprint(path, ".", round)))
	}
	if confirmed < 1000 {
		t.Errorf("only %d events were confirmed", confirmed)
	}
	for round := range 5 {
		if _, err := verify(t, fmt.Sprint(path, ".", round)); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

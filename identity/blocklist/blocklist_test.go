package blocklist_test

import (
	"bufio"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity/blocklist"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, text string) *blocklist.List {
	t.Helper()
	l, err := blocklist.Open(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sum(password string) string { return fmt.Sprintf("%X", sha1.Sum([]byte(password))) }

// hashes is a list in the form of a download: sorted, with counts and CRLF.
func hashes(end string, passwords ...string) string {
	var lines []string
	for i, p := range passwords {
		lines = append(lines, fmt.Sprint(sum(p), ":", i+1))
	}
	slices.Sort(lines)
	return strings.Join(lines, end) + end
}

func many(n int) []string {
	passwords := make([]string, n)
	for i := range passwords {
		passwords[i] = fmt.Sprint("a known password ", i)
	}
	return passwords
}

func wantContains(t *testing.T, l *blocklist.List, password string, want bool) {
	t.Helper()
	if got, err := l.Contains(password); err != nil || got != want {
		t.Errorf("Contains(%q) = %v, %v, want %v", password, got, err, want)
	}
}

// Every password of a list is found, whatever its length, and no other.
func TestContains(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000} {
		known := many(n)
		for name, text := range map[string]string{
			"hashes, CRLF":            hashes("\r\n", known...),
			"hashes, LF":              hashes("\n", known...),
			"hashes, no end":          strings.TrimSuffix(hashes("\n", known...), "\n"),
			"hashes, small, no count": strings.ToLower(strings.Join(slices.Sorted(slices.Values(mapped(known, sum))), "\n")) + "\n",
			"plain, LF":               strings.Join(known, "\n") + "\n",
			"plain, CRLF":             strings.Join(known, "\r\n") + "\r\n",
			"plain, no end":           strings.Join(known, "\n"),
		} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				l := open(t, text)
				for i, p := range known {
					wantContains(t, l, p, true)
					wantContains(t, l, fmt.Sprint("another password ", i), false)
				}
				wantContains(t, l, "", false)
				wantContains(t, l, sum(known[0]), false)
			})
		}
	}
}

func mapped(in []string, f func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

// What is hashed when it is typed otherwise is the same password.
func TestSpellings(t *testing.T) {
	for name, text := range map[string]string{
		"hashes": hashes("\n", "violin marmalade", "crème brûlée"),
		"plain":  "Violin Marmalade\ncrème brûlée\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, text)
			for _, p := range []string{"violin marmalade", "Violin Marmalade", "VIOLIN marmalade", "ｖｉｏｌｉｎ marmalade", "crème brûlée"} {
				wantContains(t, l, p, true)
			}
			wantContains(t, l, "violin  marmalade", false)
		})
	}
}

// Another list takes the place of one of hashes while it is in use.
func TestReplaced(t *testing.T) {
	path := write(t, hashes("\n", many(10)...))
	l, err := blocklist.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	wantContains(t, l, "violin marmalade", false)
	if err := os.Rename(write(t, hashes("\n", "violin marmalade")), path); err != nil {
		t.Fatal(err)
	}
	wantContains(t, l, "violin marmalade", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if found, err := l.Contains("violin marmalade"); err == nil {
		t.Errorf("without the file: %v and no error", found)
	}
}

func TestOpenRefuses(t *testing.T) {
	sorted := hashes("\n", many(2000)...)
	lines := strings.SplitAfter(sorted, "\n")
	slices.Reverse(lines)
	for name, text := range map[string]string{
		"empty":     "",
		"unsorted":  strings.Join(lines, ""),
		"cut short": sorted[:len(sorted)-30],
		"mixed":     sorted + "violin marmalade\n",
	} {
		if l, err := blocklist.Open(write(t, text)); err == nil {
			t.Errorf("%s: opened as %v", name, l)
		}
	}
	for name, path := range map[string]string{"a folder": t.TempDir(), "nothing": filepath.Join(t.TempDir(), "none")} {
		if _, err := blocklist.Open(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A list is searched where it is: that of all breaches would not fit into memory.
func TestHashesAreNotRead(t *testing.T) {
	path := write(t, "")
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const each, n = 43, int64(1) << 20
	lines := many(1)
	buffer := bufio.NewWriter(file)
	for i := range n { // hashes that ascend, in lines of one length
		if _, err := fmt.Fprintf(buffer, "%040X:9\n", i<<8); err != nil {
			t.Fatal(err)
		}
	}
	if err := buffer.Flush(); err != nil {
		t.Fatal(err)
	}
	l, err := blocklist.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	allocated := testing.AllocsPerRun(10, func() { wantContains(t, l, lines[0], false) })
	if allocated > 400 {
		t.Errorf("a look in %d MiB allocates %v times", each*n>>20, allocated)
	}
}

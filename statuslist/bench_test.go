package statuslist_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/statuslist"
)

// notes is a register of one full list in memory.
type notes struct {
	header statuslist.Header
	packed []byte
}

func (n *notes) Append(context.Context, statuslist.ListID, statuslist.Header, statuslist.Note) (int, statuslist.Header, error) {
	return 0, statuslist.Header{}, statuslist.ErrFull
}

func (n *notes) Read(_ context.Context, _ statuslist.ListID, from int) (statuslist.Header, int, []byte, error) {
	return n.header, len(n.packed) / statuslist.NoteSize, n.packed[from*statuslist.NoteSize:], nil
}

// full makes a list in which every place is taken, and a mirror's set that has a share of its tokens as revoked.
func full(tokens int, share float64) (*notes, *revocation.Set) {
	r := rand.New(rand.NewPCG(1, 2))
	set := revocation.NewSet()
	n := &notes{header: statuslist.Header{Key: [16]byte{1}, Size: tokens}, packed: make([]byte, 0, tokens*statuslist.NoteSize)}
	id := func() (id revocation.ID) {
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		return id
	}
	client, key := id(), id()
	for range tokens {
		note := statuslist.Note{Token: id(), Session: id(), Subject: id(), Client: client, Key: key, IssuedAt: 1800000000}
		n.packed = append(n.packed, note.Pack()...)
		if r.Float64() < share {
			set.Merge(revocation.Entry{Kind: revocation.Session, ID: note.Session, Expires: 1900000000}, 0)
		}
	}
	return n, set
}

// hits asks a set, as a mirror that is always fresh.
type hits struct{ *revocation.Set }

func (h hits) Check(_ context.Context, c revocation.Claims) error {
	if h.Hit(&c) != 0 {
		return revocation.ErrRevoked
	}
	return nil
}

// publisherOf publishes one list, anew each time it is asked.
func publisherOf(b testing.TB, n *notes, set *revocation.Set) (*statuslist.Publisher, string) {
	b.Helper()
	now := newClock()
	p, err := statuslist.NewPublisher(statuslist.PublisherConfig{
		Register: n, Revocations: hits{set}, Keys: newRing(b), URI: listsURL, Period: time.Hour, TokenLife: time.Hour,
		TTL: time.Minute, Life: time.Minute, Every: time.Nanosecond,
		Now: func() time.Time { now.advance(time.Microsecond); return now.Now() },
	})
	must(b, err)
	return p, statuslist.ListID{Ends: now.Now().Add(time.Hour).Unix()}.String()
}

func sizes() []int { return []int{1_000_000, 10_000_000} }

func shares() []float64 { return []float64{0.001, 0.01, 0.1} }

// BenchmarkPublish makes a list of tokens of which a share is revoked: ask about each, pack, compress, sign.
func BenchmarkPublish(b *testing.B) {
	for _, size := range sizes() {
		for _, share := range shares() {
			b.Run(fmt.Sprintf("tokens=%d/revoked=%g", size, share), func(b *testing.B) {
				n, set := full(size, share)
				p, name := publisherOf(b, n, set)
				var d *statuslist.Published
				for b.Loop() {
					var err error
					d, err = p.List(b.Context(), name)
					must(b, err)
				}
				b.ReportMetric(float64(len(d.JWT)), "jwt-bytes")
				b.ReportMetric(float64(len(d.Gzip)), "gzip-bytes")
			})
		}
	}
}

// BenchmarkOpen verifies and unpacks a list, as a verifier does once a ttl; BenchmarkGet is what it costs each token.
func BenchmarkOpen(b *testing.B) {
	for _, size := range sizes() {
		b.Run(fmt.Sprintf("tokens=%d/revoked=0.01", size), func(b *testing.B) {
			raw, ring := signedList(b, size, 0.01)
			b.ResetTimer()
			for b.Loop() {
				_, err := statuslist.Open(b.Context(), ring, raw, statuslist.Limits{TokenBytes: 1 << 26, ListBytes: 1 << 26})
				must(b, err)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	list, err := statuslist.NewList(1, 10_000_000)
	must(b, err)
	var i uint64
	for b.Loop() {
		i = (i*6364136223846793005 + 1442695040888963407) % 10_000_000
		list.Get(i)
	}
}

// signedList is a list with a random share of ones.
func signedList(b testing.TB, size int, share float64) (string, ring) {
	b.Helper()
	list, err := statuslist.NewList(1, size)
	must(b, err)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range size {
		if r.Float64() < share {
			must(b, list.Set(uint64(i), statuslist.Invalid))
		}
	}
	ring := newRing(b)
	raw, err := statuslist.Sign(b.Context(), ring, statuslist.Token{URI: listsURL + "/1", IssuedAt: time.Unix(1800000000, 0), List: list})
	must(b, err)
	return raw, ring
}

//nolint:gochecknoglobals // flags of a test are
var page = flag.Bool("page", false, "write the table in docs/status-list.md")

// TestWritePage measures what the table in docs/status-list.md says, and writes it there. Only with -page, as it takes
// gigabytes of memory and a minute.
func TestWritePage(t *testing.T) {
	file := filepath.Join("..", "docs", "status-list.md")
	text, err := os.ReadFile(file)
	must(t, err)
	const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
	head, rest, found := strings.Cut(string(text), begin)
	old, tail, closed := strings.Cut(rest, end)
	if !found || !closed || strings.Count(old, "\n") != 2+len(sizes())*len(shares()) {
		t.Fatalf("%s has no table of the benchmark:\n%s", file, old)
	}
	if !*page {
		return
	}
	var table bytes.Buffer
	fmt.Fprintln(&table, "| tokens in the list | revoked | unpacked | JWT | with gzip | making it | verifying and unpacking it | notes in memory |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|---|---|")
	for _, size := range sizes() {
		for _, share := range shares() {
			fmt.Fprintln(&table, row(t, size, share))
		}
	}
	must(t, os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644))
}

func row(t *testing.T, size int, share float64) string {
	n, set := full(size, share)
	p, name := publisherOf(t, n, set)
	best := func(work func()) time.Duration {
		shortest := time.Hour
		for range 3 {
			start := time.Now()
			work()
			shortest = min(shortest, time.Since(start))
		}
		return shortest.Round(time.Millisecond / 10)
	}
	var d *statuslist.Published
	making := best(func() {
		var err error
		d, err = p.List(t.Context(), name)
		must(t, err)
	})
	raw, ring := signedList(t, size, share)
	opening := best(func() {
		_, err := statuslist.Open(t.Context(), ring, raw, statuslist.Limits{TokenBytes: 1 << 26, ListBytes: 1 << 26})
		must(t, err)
	})
	return fmt.Sprintf("| %d M | %g %% | %s | %s | %s | %v | %v | %s |", size/1_000_000, share*100, kib(size/8), kib(len(d.JWT)),
		kib(len(d.Gzip)), making, opening, kib(size*statuslist.NoteSize))
}

func kib(bytes int) string {
	if bytes >= 10<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

package httpfeed

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/internal/clocktest"
)

func entries() *rapid.Generator[revocation.Entry] {
	return rapid.Custom(func(t *rapid.T) revocation.Entry {
		e := revocation.Entry{
			Kind:    revocation.Kind(rapid.IntRange(int(revocation.Token), int(revocation.Everything)).Draw(t, "kind")),
			Expires: rapid.Int64Range(1, 1<<32-1).Draw(t, "expires"),
		}
		if e.Kind != revocation.Everything {
			copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
			e.ID[0] |= 1
		}
		if e.Kind == revocation.Subject || e.Kind == revocation.Client || e.Kind == revocation.Everything {
			e.NotBefore = rapid.Int64Range(1, 1<<32-1).Draw(t, "not before")
		}
		return e
	})
}

// What the server writes the client reads.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var batch revocation.Batch
		batch.Entries = rapid.SliceOfN(entries(), 0, 20).Draw(t, "entries")
		if rapid.Bool().Draw(t, "positioned") {
			batch.Position.Epoch = rapid.StringMatching(`[!-~]{1,64}`).Draw(t, "epoch")
			batch.Position.Seq = rapid.Uint64().Draw(t, "seq")
		}
		asOf, proven := rapid.Int64Range(-1e12, 1e12).Draw(t, "as of"), rapid.Bool().Draw(t, "proven")

		wire := appendBatch(nil, batch, asOf, proven)
		r := newReader(bytes.NewReader(append(wire, ":\n\n"...)))
		e, err := r.next()
		if err != nil {
			t.Fatalf("%v in:\n%s", err, wire)
		}
		if !slices.Equal(e.entries, batch.Entries) || e.position != batch.Position || e.now != nil {
			t.Fatalf("read %+v from:\n%s", e, wire)
		}
		if (e.asOf != nil) != proven || proven && *e.asOf != asOf {
			t.Fatalf("as_of %v from:\n%s", e.asOf, wire)
		}
		if e, err = r.next(); err != nil || len(e.entries) != 0 || e.asOf != nil || e.position != (revocation.Position{}) {
			t.Fatalf("the next event is %+v, %v", e, err)
		}
	})
}

func TestBadLines(t *testing.T) {
	const id = "AAECAwQFBgcICQoLDA0ODw"
	for _, test := range []struct{ line, problem string }{
		{"data: sid " + id + " 0", "want: kind id not_before expires"},
		{"data: sid " + id + " 0 1 2", "expires: want Unix seconds"},
		{"data: sid  " + id + " 0 1", "id: want 22 characters"},
		{"data: SID " + id + " 0 1", "unknown kind"},
		{"data: dpop " + id + " 0 1", "unknown kind"},
		{"data: ", "want: kind id"},
		{"data: sid " + id[:21] + " 0 1", "id: want 22"},
		{"data: sid " + id[:21] + "x 0 1", "id: not base64url"}, // spare bits set
		{"data: sid " + id[:21] + "= 0 1", "id: not base64url"},
		{"data: sid - 0 1", "id: want 22"},
		{"data: all " + id + " 1 1", "id: want - for all"},
		{"data: all - 0 1", "needs a cut-off"},
		{"data: sid " + id + " 1 1", "takes no cut-off"},
		{"data: sid " + strings.Repeat("A", 22) + " 0 1", "needs an id"},
		{"data: sid " + id + " 0 01", "expires: want Unix"},
		{"data: sid " + id + " 0 -1", "expires: want Unix"},
		{"data: sid " + id + " +0 1", "not_before: want Unix"},
		{"data: sid " + id + " 0 4294967296", "out of range"},
		{"data: sid " + id + " 0 99999999999999999999", "expires: want Unix"},
		{"data: as_of", "as_of: want milliseconds"},
		{"data: as_of 1e3", "as_of: want milliseconds"},
		{"data: as_of 9223372036854775807", "as_of: want milliseconds"},
		{"data: now", "now: want milliseconds"},
		{"id: junk", "id: position"},
		{"data: " + strings.Repeat("x", maxLine), "longer than 512"},
		{strings.Repeat("x", 1<<20), "longer than 512"},
	} {
		_, err := newReader(strings.NewReader("data: as_of 1\n\n:\n" + test.line + "\n\n")).readAll()
		if err == nil || !strings.HasPrefix(err.Error(), "line 4: ") || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%.60q: got %v, want line 4: ... %s", test.line, err, test.problem)
		}
	}
}

// readAll reads events until there are no more.
func (r *reader) readAll() (n int, err error) {
	for ; ; n++ {
		if _, err := r.next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func TestEventIsBounded(t *testing.T) {
	line := "data: sid AAECAwQFBgcICQoLDA0ODw 0 1\n"
	if _, err := newReader(strings.NewReader(strings.Repeat(line, maxEntries) + "\n")).readAll(); err != nil {
		t.Errorf("%d entries: %v", maxEntries, err)
	}
	_, err := newReader(strings.NewReader(strings.Repeat(line, maxEntries+1) + "\n")).readAll()
	if err == nil || !strings.Contains(err.Error(), "line 4097: more than 4096 entries") {
		t.Errorf("%d entries: %v", maxEntries+1, err)
	}
}

// What is cut off in the middle is never used, whatever it looks like.
func TestHalfAnEvent(t *testing.T) {
	const whole = "data: sid AAECAwQFBgcICQoLDA0ODw 0 1790000600\n\n"
	for n := 1; n < len(whole); n++ {
		if e, err := newReader(strings.NewReader(whole[:n])).next(); err == nil {
			t.Errorf("%q: read %+v", whole[:n], e)
		}
	}
	// Other fields of server-sent events, comments and carriage returns are no reason to break off.
	n, err := newReader(strings.NewReader("retry: 5\r\nevent: x\r\n: hello\r\ndata: as_of 7\r\n\r\n")).readAll()
	if n != 1 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
}

// However the two clocks stand, and however late anything arrives, a proof says no more than is true: for clocks whose
// rates differ by less than allowed for.
func TestProofIsALowerBound(t *testing.T) {
	delays := []time.Duration{0, time.Microsecond, 77 * time.Millisecond, 3 * time.Second, 10 * time.Second}
	for _, ppm := range []int64{-990, 0, 990} { // by how much the server's clock runs fast, in parts per million
		for _, origin := range []time.Duration{-time.Hour, 0, 12345678 * time.Microsecond} { // of the server's clock
			for _, handled := range delays { // when the server handled the request, from when it was sent
				for _, later := range append(delays, renewEvery) { // from then until the proof
					for _, stale := range delays { // by which the proof is older than that
						checkProof(t, handled, handled+later-stale, func(elapsed time.Duration) time.Duration {
							return origin + elapsed + elapsed/1_000_000*time.Duration(ppm)
						})
					}
				}
			}
		}
	}
}

// checkProof checks what a proof counts as. All times are true ones since the request was sent; server is what the
// server's clock says at such a time.
func checkProof(t *testing.T, handled, asOf time.Duration, server func(time.Duration) time.Duration) {
	t.Helper()
	sent := time.Unix(1_790_000_000, 0)
	p := proof{sent: sent, nonce: "n"}
	if _, err := p.batch(event{now: &mark{millis(server(handled)) + 1, "n"}}, sent.Add(handled)); err != nil {
		t.Fatal(err)
	}
	claim := millis(server(asOf))
	b, err := p.batch(event{asOf: &claim}, sent.Add(max(asOf, handled)))
	if err != nil {
		t.Fatal(err)
	}
	says := b.AsOf.Sub(sent)
	if says > asOf {
		t.Errorf("request handled after %v: a proof as of %v counts as one of %v", handled, asOf, says)
	}
	if loss := asOf - says - handled; loss > 2*(asOf-handled).Abs()/driftParts+3*time.Millisecond {
		t.Errorf("request handled after %v: a proof as of %v counts only as one of %v", handled, asOf, says)
	}
}

func TestProofRefuses(t *testing.T) {
	sent := time.Unix(1_790_000_000, 0)
	ms := func(n int64) *int64 { return &n }
	for name, events := range map[string][]event{
		"does not begin with the server's clock": {{asOf: ms(1)}},
		"comes twice":                            {{now: &mark{1, "n"}}, {now: &mark{1, "n"}}},
		"belongs to another request":             {{now: &mark{1, "-"}}},
		"a proof lies in the future":             {{now: &mark{1, "n"}}, {asOf: ms(2000)}},
	} {
		p := proof{sent: sent, nonce: "n"}
		var err error
		for _, e := range events {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, err = p.batch(e, sent.Add(time.Second))
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// After a jump of one of the client's clocks, proofs would be too old until the next request, or vouch for too much.
func TestProofAfterClockJump(t *testing.T) {
	sent := time.Now()
	for name, test := range map[string]struct {
		wall, lag time.Duration // how much later it is by the wall clock, and by how much the monotonic one says less
		refused   bool
	}{
		"nothing":      {10 * time.Second, 0, false},
		"a small step": {10 * time.Second, 900 * time.Millisecond, false},
		"set forward":  {time.Hour, time.Hour - time.Second, true},
		"set back":     {0, -time.Minute, true},
		"suspended":    {10 * time.Second, 9 * time.Second, true},
	} {
		p := proof{sent: sent, nonce: "n", now: &mark{0, "n"}}
		asOf := int64(0)
		_, err := p.batch(event{asOf: &asOf}, clocktest.Suspended(t, sent.Add(test.wall), test.lag))
		if refused := err != nil; refused != test.refused {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("data: now 5 x\n\nid: e-1\ndata: sid AAECAwQFBgcICQoLDA0ODw 0 1790000600\ndata: as_of 5\n\n:\n\n"))
	f.Add([]byte("data: all - 1 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newReader(bytes.NewReader(stream))
		for {
			e, err := r.next()
			if err != nil {
				return
			}
			for _, entry := range e.entries {
				if err := entry.Validate(); err != nil {
					t.Fatalf("read %+v: %v", entry, err)
				}
				// There is one spelling of an entry, and it is in the stream.
				if line := appendEntry(nil, entry); !bytes.Contains(stream, line) {
					t.Fatalf("read %+v, but %q is not in the stream", entry, line)
				}
			}
		}
	})
}

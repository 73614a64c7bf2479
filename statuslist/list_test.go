package statuslist_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/statuslist"
)

// Any statuses, at any places, in any order: the list holds the last of each, and so does one that was encoded.
func TestListHoldsWhatWasSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "bits")
		n := rapid.IntRange(1, 500).Draw(t, "entries")
		list, err := statuslist.NewList(bits, n)
		if err != nil {
			t.Fatal(err)
		}
		if list.Len() < n || list.Len() >= n+8 || list.Len()*bits%8 != 0 || list.Bits() != bits {
			t.Fatalf("%d entries of %d bits for %d of %d", list.Len(), list.Bits(), n, bits)
		}
		want := make([]statuslist.Status, list.Len())
		for range rapid.IntRange(0, 100).Draw(t, "changes") {
			i := rapid.IntRange(0, n-1).Draw(t, "index")
			s := statuslist.Status(rapid.IntRange(0, 1<<bits-1).Draw(t, "status"))
			if err := list.Set(uint64(i), s); err != nil {
				t.Fatal(err)
			}
			want[i] = s
		}
		lst, err := list.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := statuslist.Decode(bits, lst, n*bits/8+1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			a, _ := list.Get(uint64(i))
			if b, ok := read.Get(uint64(i)); !ok || a != want[i] || b != want[i] {
				t.Fatalf("status %d is %v, decoded %v, want %v", i, a, b, want[i])
			}
		}
	})
}

func TestListRefuses(t *testing.T) {
	for _, bits := range []int{-1, 0, 3, 5, 16} {
		if _, err := statuslist.NewList(bits, 8); !errors.Is(err, statuslist.ErrFormat) {
			t.Errorf("%d bits: %v", bits, err)
		}
		if _, err := statuslist.Decode(bits, "eNrbuRgAAhcBXQ", 100); !errors.Is(err, statuslist.ErrFormat) {
			t.Errorf("decoding %d bits: %v", bits, err)
		}
	}
	for _, n := range []int{-1, 0, 1<<28 + 1} {
		if _, err := statuslist.NewList(1, n); !errors.Is(err, statuslist.ErrFormat) {
			t.Errorf("%d entries: %v", n, err)
		}
	}
	list, err := statuslist.NewList(2, 8)
	if err != nil {
		t.Fatal(err)
	}
	if list.Set(8, 1) == nil || list.Set(0, 4) == nil {
		t.Error("a status beyond the list's end or size was set")
	}
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	text := base64.RawURLEncoding.EncodeToString
	whole := packed(t, []byte{1, 2, 3})
	torn := bytes.Clone(whole)
	torn[len(torn)-1] ^= 1
	for name, lst := range map[string]string{
		"empty":            "",
		"no bytes":         text(packed(t, nil)),
		"cut short":        text(whole[:len(whole)-3]),
		"wrong sum":        text(torn),
		"more after it":    text(append(bytes.Clone(whole), 0)),
		"not compressed":   text([]byte{0xb9, 0xa3}),
		"padding":          base64.URLEncoding.EncodeToString(packed(t, []byte{1, 2, 3, 4})),
		"other alphabet":   strings.ReplaceAll(text(whole), "_", "/") + "+",
		"line break":       "\n" + text(whole),
		"a byte too long":  text(packed(t, make([]byte, 4))),
		"a bomb of 64 MiB": text(packed(t, make([]byte, 64<<20))),
	} {
		if list, err := statuslist.Decode(1, lst, 3); !errors.Is(err, statuslist.ErrFormat) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	if _, err := statuslist.Decode(1, text(whole), 3); err != nil {
		t.Errorf("the list itself: %v", err)
	}
}

// A bomb is refused after as much memory as a list may have, not after what it unpacks to.
func TestDecodeIsBounded(t *testing.T) {
	bomb := base64.RawURLEncoding.EncodeToString(packed(t, make([]byte, 64<<20)))
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := statuslist.Decode(1, bomb, 1<<10); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	if got := r.AllocedBytesPerOp(); got > 1<<20 {
		t.Errorf("%d bytes for a list of at most 1 KiB", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(1, "eNrbuRgAAhcBXQ")
	f.Add(2, "eNo76fITAAPfAgc")
	f.Add(8, base64.RawURLEncoding.EncodeToString(packed(f, bytes.Repeat([]byte{7}, 5000))))
	f.Add(4, "")
	f.Add(3, "AAAA")
	const most = 4096
	f.Fuzz(func(t *testing.T, bits int, lst string) {
		list, err := statuslist.Decode(bits, lst, most)
		if err != nil {
			if !errors.Is(err, statuslist.ErrFormat) {
				t.Errorf("error %v", err)
			}
			return
		}
		if n := list.Len() * bits / 8; n < 1 || n > most {
			t.Fatalf("%d bytes", n)
		}
		again, err := list.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := statuslist.Decode(bits, again, most)
		if err != nil || read.Len() != list.Len() {
			t.Fatalf("encoded again: %v", err)
		}
		for i := range uint64(list.Len()) {
			a, _ := list.Get(i)
			if b, _ := read.Get(i); a != b {
				t.Fatalf("status %d: %v, then %v", i, a, b)
			}
		}
	})
}

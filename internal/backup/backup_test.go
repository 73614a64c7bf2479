package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/backup"
)

var (
	header = backup.Header{MadeAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), MadeBy: "1.2.3", Issuer: "https://login.example"}
	files  = map[string]string{"authd.db": strings.Repeat("sessions ", 200), "users.db": "users"}
)

func write(t *testing.T, h backup.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"users.db", "authd.db"} {
		if err := w.Add(name, int64(len(files[name])), strings.NewReader(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read returns what a backup says to hold, and the error that tells whether it does.
func read(archive []byte) (h backup.Header, got map[string]string, err error) {
	got = map[string]string{}
	_, err = backup.Read(bytes.NewReader(archive),
		func(found backup.Header) error { h = found; return nil },
		func(name string, r io.Reader) error {
			text, err := io.ReadAll(r)
			got[name] = string(text)
			return err
		})
	return h, got, err
}

func TestRoundTrip(t *testing.T) {
	h, got, err := read(write(t, header))
	if err != nil {
		t.Fatal(err)
	}
	want := header
	want.Format = backup.Format
	if h != want || !maps.Equal(got, files) {
		t.Errorf("read %+v and %v", h, got)
	}
}

// Wherever an archive was cut off or a bit of it has changed, it is not taken for whole.
func TestDamageIsNoticed(t *testing.T) {
	whole := write(t, header)
	end := bytes.LastIndex(whole, []byte("]\n")) // of the manifest; behind it there are zeros
	for n := 0; n < end; n += 37 {
		if _, _, err := read(whole[:n]); !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrForeign) {
			t.Fatalf("cut off after %d bytes of %d: %v", n, len(whole), err)
		}
	}
	for name, text := range files {
		for _, at := range []int{0, len(text) / 2, len(text) - 1} {
			altered := bytes.Clone(whole)
			altered[bytes.Index(altered, []byte(text))+at] ^= 0x10
			if _, _, err := read(altered); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("a flipped bit in %s: %v", name, err)
			}
		}
	}
}

func TestForeignArchives(t *testing.T) {
	archive := func(names ...string) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, name := range names {
			text := "{}"
			_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Typeflag: tar.TypeReg})
			_, _ = w.Write([]byte(text))
		}
		_ = w.Close()
		return out.Bytes()
	}
	for name, tt := range map[string]struct {
		archive []byte
		want    error
	}{
		"nothing":         {nil, backup.ErrForeign},
		"text":            {[]byte(strings.Repeat("hello ", 1000)), backup.ErrForeign},
		"another archive": {archive("a", "b"), backup.ErrForeign},
		"out of folder":   {archive("authd-backup.json", "data/../../etc/passwd"), backup.ErrDamaged},
		"elsewhere":       {archive("authd-backup.json", "/etc/passwd"), backup.ErrDamaged},
		"hidden":          {archive("authd-backup.json", "data/.profile"), backup.ErrDamaged},
		"no end":          {archive("authd-backup.json", "data/authd.db"), backup.ErrDamaged},
	} {
		if _, _, err := read(tt.archive); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	newer := bytes.Replace(write(t, header), []byte(`"format": 1`), []byte(`"format": 9`), 1)
	if _, _, err := read(newer); !errors.Is(err, backup.ErrNewer) || !strings.Contains(err.Error(), "1.2.3") {
		t.Errorf("a newer form: %v", err)
	}
}

// A file that is not as long as was said spoils the backup, and Add says so.
func TestWrongSize(t *testing.T) {
	for _, size := range []int64{3, 9} {
		w, err := backup.NewWriter(io.Discard, header)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add("users.db", size, strings.NewReader("users")); err == nil {
			t.Errorf("5 bytes as %d were accepted", size)
		}
	}
	w, _ := backup.NewWriter(io.Discard, header)
	if err := w.Add("../users.db", 5, strings.NewReader("users")); err == nil {
		t.Error("a name that leads out of the folder was accepted")
	}
}

// A file that was taken out of an archive, or put in, is noticed, although every other is as it was.
func TestFilesAreCounted(t *testing.T) {
	for name, copies := range map[string]int{"a file was taken out": 0, "a file was put in": 2} {
		var out bytes.Buffer
		in, w := tar.NewReader(bytes.NewReader(write(t, header))), tar.NewWriter(&out)
		for {
			member, err := in.Next()
			if err != nil {
				break // the end
			}
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			n := 1
			if member.Name == "data/authd.db" { // the last one
				n = copies
			}
			for range n {
				if err := w.WriteHeader(member); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(text); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, _, err := read(out.Bytes()); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Package backup is the form of authd's backups: a tar archive that tells at its end whether it is whole.
//
//	authd-backup.json   what it is: [Header]
//	data/authd.db …     the files
//	manifest.json       the size and the SHA-256 of each
//
// It is written as a stream, by [Writer], and read as one, by [Read]. `tar` lists and unpacks it, but only Read tells a
// whole archive from one that was cut off, damaged, or is something else. It is not encrypted: what to encrypt it with, and
// who holds that key, is for the place where backups go to. What is in it that makes keys is sealed already.
package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"time"
)

var (
	// ErrForeign means that a file is no backup of authd.
	ErrForeign = errors.New("not a backup of authd")
	// ErrDamaged means that a backup was cut off or altered.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrNewer means that a newer authd has made it, in a form that this one does not know.
	ErrNewer = errors.New("the backup was made by a newer authd")
)

// Format is the version of the archive's form. What is in the files has versions of its own.
const Format = 1

// Header says what a backup is.
type Header struct {
	Format int       `json:"format"`
	MadeAt time.Time `json:"made_at"` // all that was acknowledged before is in it
	MadeBy string    `json:"made_by"` // the version of authd
	Issuer string    `json:"issuer"`
	// Sessions and Keys say where those were, as the settings name the places.
	Sessions string `json:"sessions"`
	Keys     string `json:"keys"`
	KEK      string `json:"kek_id"` // names the key-encryption key that seals, and does not tell it
}

// File is a file in a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hex
}

const (
	headerName   = "authd-backup.json"
	manifestName = "manifest.json"
	folder       = "data/"
	maxDocument  = 1 << 20
)

// Writer writes a backup. Its methods may not be called concurrently.
type Writer struct {
	tar   *tar.Writer
	at    time.Time
	files []File
}

// NewWriter begins a backup. Nothing reaches w before the header was encoded.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Format = Format
	b := &Writer{tar: tar.NewWriter(w), at: h.MadeAt.UTC().Truncate(time.Second)}
	return b, b.document(headerName, h)
}

// Add writes a file of which the size is known.
func (b *Writer) Add(name string, size int64, content io.Reader) error {
	if !validName(name) {
		return fmt.Errorf("backup: no name for a file: %q", name)
	}
	if err := b.member(folder+name, size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(b.tar, sum), content)
	switch {
	case err != nil:
		return fmt.Errorf("writing %s: %w", name, err)
	case n != size:
		return fmt.Errorf("writing %s: it has %d bytes, not %d", name, n, size)
	}
	b.files = append(b.files, File{name, size, hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// Close writes the end, by which a reader knows that it has everything. It does not close what was written to.
func (b *Writer) Close() error {
	if err := b.document(manifestName, b.files); err != nil {
		return err
	}
	return b.tar.Close()
}

func (b *Writer) document(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	text = append(text, '\n')
	if err := b.member(name, int64(len(text))); err != nil {
		return err
	}
	_, err = b.tar.Write(text)
	return err
}

func (b *Writer) member(name string, size int64) error {
	return b.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.at})
}

// Read reads a backup. It calls begin with the header, and then store with each file, in order; an error of theirs ends
// it. Only once Read has returned nil is what they were given known to be whole and unaltered.
func Read(r io.Reader, begin func(Header) error, store func(name string, content io.Reader) error) ([]File, error) {
	in := tar.NewReader(r)
	if err := readHeader(in, begin); err != nil {
		return nil, err
	}
	var files []File
	for {
		member, err := in.Next()
		if err != nil {
			return nil, fmt.Errorf("%w: its end is missing: %w", ErrDamaged, noEOF(err))
		}
		if member.Name == manifestName {
			return files, readManifest(in, files)
		}
		name, ok := bytes.CutPrefix([]byte(member.Name), []byte(folder))
		if !ok || !validName(string(name)) || member.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%w: it has a member %q", ErrDamaged, member.Name)
		}
		content := &digesting{r: in, sum: sha256.New()}
		err = store(string(name), content)
		if err == nil {
			_, err = io.Copy(io.Discard, content) // what store did not read
		}
		switch {
		case content.err != nil:
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, noEOF(content.err))
		case err != nil:
			return nil, err
		}
		files = append(files, File{string(name), content.n, hex.EncodeToString(content.sum.Sum(nil))})
	}
}

func readHeader(in *tar.Reader, begin func(Header) error) error {
	var h Header
	member, err := in.Next()
	if err != nil || member.Name != headerName {
		return ErrForeign
	}
	if err := readDocument(in, &h); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, headerName, err)
	}
	if h.Format > Format {
		return fmt.Errorf("%w: %s, in form %d; this one knows %d", ErrNewer, h.MadeBy, h.Format, Format)
	}
	return begin(h)
}

func readManifest(in *tar.Reader, got []File) error {
	var want []File
	if err := readDocument(in, &want); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if len(want) != len(got) {
		return fmt.Errorf("%w: %d files, and there were %d", ErrDamaged, len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			return fmt.Errorf("%w: %s is not as it was written", ErrDamaged, want[i].Name)
		}
	}
	return nil
}

func readDocument(r io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err != nil {
		return noEOF(err)
	}
	return json.Unmarshal(text, into)
}

// noEOF says of an archive that ends too early what a reader would take for its end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// validName accepts the names of files that lie in one folder, and none that leads out of it.
func validName(name string) bool {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`).MatchString(name)
}

// digesting notes what was read.
type digesting struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error // why nothing more can be read; nil at the end
}

func (d *digesting) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.sum.Write(p[:n]) // never fails
	d.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

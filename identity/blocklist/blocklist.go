// Package blocklist looks new passwords up in a file of passwords that are known to attackers.
//
// The file has one of two forms. A plain list has a password in each line, as typed, in any order; it is read into memory,
// eight bytes for each. A list of SHA-1 hashes is that of "Have I Been Pwned": lines HASH or HASH:COUNT of 40 hexadecimal
// digits in ascending order, of any size; it stays on the disk, and a look is some thirty reads of a binary search.
//
// SHA-1 serves to compare here, not to protect: the passwords are public. Nothing of a password leaves the process.
package blocklist

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the lists that there are use it, and it protects nothing here
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// maxPlain is the longest plain list, in bytes. Longer lists are searched on the disk, as hashes.
const maxPlain = 256 << 20

// List is a list of passwords. Methods may be called concurrently.
type List struct {
	path  string
	size  int64
	plain []uint64 // of a plain list: what digest makes of each password, sorted; nil for a list of hashes
}

// Open reads a plain list, or checks that a list of hashes looks like one: its beginning, its end, and the order of a
// thousand places in between. The file of a list of hashes is opened again for each look, so it may be replaced by
// another one, by renaming, at any time; a plain list is read once.
func Open(path string) (*List, error) {
	l, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("list of passwords %s: %w", path, err)
	}
	return l, nil
}

func open(path string) (*List, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	l := &List{path: path, size: info.Size()}
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() == 0:
		return nil, errors.New("it is empty")
	}
	first, err := lineAt(file, info.Size(), 0)
	if err != nil {
		return nil, err
	}
	if _, ok := parseHash(first.text); ok {
		return l, checkHashes(file, info.Size())
	}
	if info.Size() > maxPlain {
		return nil, fmt.Errorf("a plain list has at most %d bytes; make one of SHA-1 hashes of it", maxPlain)
	}
	l.plain, err = readPlain(file)
	return l, err
}

// Contains tells whether a password is on the list: as it was typed, in the form in which it would be hashed (NFKC), and
// in lower case.
func (l *List) Contains(password string) (bool, error) {
	found, err := l.contains(variants(password))
	if err != nil {
		return false, fmt.Errorf("list of passwords %s: %w", l.path, err)
	}
	return found, nil
}

func variants(password string) []string {
	normal := norm.NFKC.String(password)
	return slices.Compact([]string{password, normal, strings.ToLower(normal)})
}

func (l *List) contains(passwords []string) (bool, error) {
	if l.plain != nil {
		return slices.ContainsFunc(passwords, func(p string) bool {
			_, found := slices.BinarySearch(l.plain, digest([]byte(p)))
			return found
		}), nil
	}
	file, err := os.Open(l.path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	for _, p := range passwords {
		sum := sha1.Sum([]byte(p)) //nolint:gosec // see above
		if found, err := search(file, info.Size(), sum); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// digest makes 64 bits of a password. Of a list of ten million, one in a trillion other passwords is taken for one of it.
func digest(password []byte) uint64 {
	sum := sha256.Sum256(password)
	return binary.BigEndian.Uint64(sum[:])
}

func readPlain(r io.Reader) ([]uint64, error) {
	plain := []uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(line) > 0 {
			plain = append(plain, digest(line), digest(bytes.ToLower(line)))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	slices.Sort(plain)
	return slices.Clip(slices.Compact(plain)), nil
}

// hash is the SHA-1 of a password.
type hash = [sha1.Size]byte

// parseHash takes a line HASH or HASH:COUNT apart.
func parseHash(line []byte) (h hash, ok bool) {
	const digits = 2 * sha1.Size
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > digits && line[digits] == ':' {
		line = line[:digits]
	}
	if len(line) != digits {
		return h, false
	}
	_, err := hex.Decode(h[:], line)
	return h, err == nil
}

// line is a line of a file.
type line struct {
	text       []byte // without the end
	begin, end int64  // end is where the next one begins
}

// maxLine bounds a line of hashes: a hash, a colon, a number and the end of the line. Lines of plain lists may be longer,
// but only the first of them is looked at here.
const maxLine = 128

// lineAt returns the line in which the byte at offset is.
func lineAt(r io.ReaderAt, size, offset int64) (line, error) {
	from := max(offset-maxLine, 0)
	window := make([]byte, min(2*maxLine, size-from))
	if _, err := r.ReadAt(window, from); err != nil && !errors.Is(err, io.EOF) {
		return line{}, err
	}
	at := int(offset - from)
	begin := bytes.LastIndexByte(window[:at], '\n') + 1
	end := len(window)
	next := from + int64(end)
	if i := bytes.IndexByte(window[at:], '\n'); i >= 0 {
		end = at + i
		next = from + int64(end) + 1
	}
	return line{window[begin:end], from + int64(begin), next}, nil
}

// search looks a hash up by binary search over the bytes of a sorted file.
func search(r io.ReaderAt, size int64, want hash) (bool, error) {
	for low, high := int64(0), size; low < high; { // both are where a line begins, or the end
		at, err := lineAt(r, size, low+(high-low)/2)
		if err != nil {
			return false, err
		}
		got, ok := parseHash(at.text)
		if !ok {
			return false, fmt.Errorf("at byte %d: want 40 hexadecimal digits", at.begin)
		}
		switch bytes.Compare(got[:], want[:]) {
		case 0:
			return true, nil
		case -1:
			low = at.end
		default:
			high = at.begin
		}
	}
	return false, nil
}

// checkHashes looks at lines all over the file: each must be a hash, and not less than the one before.
func checkHashes(r io.ReaderAt, size int64) error {
	const looks = 1000
	var last hash
	for i := range int64(looks + 1) {
		at, err := lineAt(r, size, (size-1)*i/looks)
		if err != nil {
			return err
		}
		h, ok := parseHash(at.text)
		if !ok {
			return fmt.Errorf("at byte %d: want 40 hexadecimal digits", at.begin)
		}
		if bytes.Compare(h[:], last[:]) < 0 {
			return fmt.Errorf("at byte %d: the hashes are not in ascending order", at.begin)
		}
		last = h
	}
	return nil
}

package logfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is longer than any line can be: every member is bounded, and escaping makes it six times as long at most.
const maxLine = 256 << 10

// ErrBroken means that the chain of lines is broken: one was changed, removed, inserted or moved.
var ErrBroken = errors.New("the chain of the audit log is broken")

// Report is what [Verifier] has seen.
type Report struct {
	Lines int    // that belong to the chain
	Torn  int    // lines that were cut off by a crash; none of them was ever confirmed to anybody
	Head  string // the hash of the last line: the end of the chain, as base64url of its SHA-256
}

// Verifier follows the chain through one or more files, in the order in which they were written. Its zero value begins with
// the first line of a chain, or goes on from any if the oldest files are gone.
type Verifier struct{ Report }

// Read follows the chain through one file.
func (v *Verifier) Read(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", n, err)
		}
		whole := bytes.HasSuffix(text, []byte("\n"))
		if err := v.line(bytes.TrimSuffix(text, []byte("\n")), whole); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func (v *Verifier) line(text []byte, whole bool) error {
	var link struct {
		Prev string `json:"prev"`
	}
	if !whole || json.Unmarshal(text, &link) != nil {
		v.Torn++
		return nil
	}
	if v.Lines > 0 && link.Prev != v.Head {
		return fmt.Errorf("%w: it does not follow the line before", ErrBroken)
	}
	v.Lines++
	v.Head = hash(text)
	return nil
}

// lastWhole returns the last whole line in the end of a file, and whether something that is none comes after it.
func lastWhole(tail []byte) (line []byte, torn, found bool) {
	end := bytes.LastIndexByte(tail, '\n')
	torn = end+1 < len(tail)
	for end >= 0 {
		begin := bytes.LastIndexByte(tail[:end], '\n')
		if text := tail[begin+1 : end]; json.Valid(text) {
			return text, torn, true
		}
		end = begin
	}
	return nil, torn, false
}

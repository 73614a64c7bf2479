package httpfeed

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/authd-project/authd/revocation"
)

// The words that begin a data line, beside the kinds of entries.
const (
	wordNow  = "now"
	wordAsOf = "as_of"
)

const (
	// contentType is that of server-sent events.
	contentType = "text/event-stream"
	// maxLine bounds a line that a client reads, in bytes. The longest line there is has about 100.
	maxLine = 512
	// maxEntries bounds the entries of one event.
	maxEntries = 4096
	// maxNonce bounds the nonce, in characters.
	maxNonce = 64
)

// idLen is the length of an ID in base64url.
var idLen = base64.RawURLEncoding.EncodedLen(len(revocation.ID{}))

// appendNow writes the event that every stream begins with.
func appendNow(b []byte, now int64, nonce string) []byte {
	if nonce == "" {
		nonce = "-"
	}
	return fmt.Appendf(b, "data: %s %d %s\n\n", wordNow, now, nonce)
}

// appendBatch writes one event: the entries, the proof, and the position that is reached with it. asOf is the proof in
// milliseconds of the server's clock; proven says whether there is one.
func appendBatch(b []byte, batch revocation.Batch, asOf int64, proven bool) []byte {
	if batch.Position != (revocation.Position{}) {
		b = append(append(append(b, "id: "...), batch.Position.String()...), '\n')
	}
	for _, e := range batch.Entries {
		b = append(appendEntry(append(b, "data: "...), e), '\n')
	}
	if proven {
		b = strconv.AppendInt(append(b, "data: "+wordAsOf+" "...), asOf, 10)
		b = append(b, '\n')
	}
	if len(batch.Entries) == 0 && !proven {
		b = append(b, ":\n"...) // a comment: the stream lives, and there is nothing to say
	}
	return append(b, '\n')
}

// appendEntry writes "kind id not_before expires".
func appendEntry(b []byte, e revocation.Entry) []byte {
	b = append(append(b, e.Kind.String()...), ' ')
	if e.Kind == revocation.Everything {
		b = append(b, '-')
	} else {
		b = base64.RawURLEncoding.AppendEncode(b, e.ID[:])
	}
	b = strconv.AppendInt(append(b, ' '), e.NotBefore, 10)
	return strconv.AppendInt(append(b, ' '), e.Expires, 10)
}

var errLine = errors.New("want: kind id not_before expires")

// parseEntry is the inverse of appendEntry. It accepts no other spelling.
func parseEntry(line []byte) (e revocation.Entry, err error) {
	kind, rest, ok1 := bytes.Cut(line, space)
	id, rest, ok2 := bytes.Cut(rest, space)
	notBefore, expires, ok3 := bytes.Cut(rest, space)
	if !ok1 || !ok2 || !ok3 {
		return e, errLine
	}
	if e.Kind, err = parseKind(kind); err != nil {
		return e, err
	}
	if e.Kind == revocation.Everything {
		if string(id) != "-" {
			return e, errors.New("id: want - for all")
		}
	} else if err := parseID(&e.ID, id); err != nil {
		return e, err
	}
	if e.NotBefore, err = parseTime(notBefore); err != nil {
		return e, fmt.Errorf("not_before: %w", err)
	}
	if e.Expires, err = parseTime(expires); err != nil {
		return e, fmt.Errorf("expires: %w", err)
	}
	return e, e.Validate()
}

var space = []byte{' '}

// parseKind is revocation.ParseKind without an allocation for each line. A kind unknown here is an error and not
// skipped: whoever cannot read an entry cannot claim to be complete.
func parseKind(b []byte) (revocation.Kind, error) {
	for k := revocation.Token; k <= revocation.Everything; k++ {
		if string(b) == k.String() {
			return k, nil
		}
	}
	return 0, errors.New("unknown kind of entry")
}

func parseID(id *revocation.ID, b []byte) error {
	if len(b) != idLen {
		return fmt.Errorf("id: want %d characters of base64url", idLen)
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(id[:], b); err != nil {
		return errors.New("id: not base64url")
	}
	return nil
}

// parseTime reads Unix seconds: digits, no sign, no leading zero.
func parseTime(b []byte) (t int64, err error) {
	if len(b) == 0 || len(b) > 12 || len(b) > 1 && b[0] == '0' {
		return 0, errors.New("want Unix seconds")
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, errors.New("want Unix seconds")
		}
		t = 10*t + int64(c-'0')
	}
	return t, nil
}

// validNonce accepts what fits a line: up to 64 characters of base64url.
func validNonce(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return len(s) <= maxNonce
}

// millis is d in whole milliseconds, rounded down also below zero, so that a proof never says too much.
func millis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d < 0 && d%time.Millisecond != 0 {
		ms--
	}
	return ms
}

package statuslist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/authd-project/authd/revocation"
)

var (
	// ErrNotFound means that there is no such list (any more).
	ErrNotFound = errors.New("no such status list")
	// ErrFull means that a list has no place left.
	ErrFull = errors.New("status list full")
	// ErrUnavailable means that a register, or the issuer, gave no answer. It says nothing about lists or tokens.
	ErrUnavailable = errors.New("status list unavailable")
)

// ListID names a list. All its tokens are dead when it ends, so it goes as a whole.
type ListID struct {
	Ends   int64 // Unix seconds: no token in the list has a later exp
	Number int   // among the lists that end then, from 0: one begins when the one before is full
}

// String returns the last part of the list's URI.
func (id ListID) String() string {
	return strconv.FormatInt(id.Ends, 10) + "-" + strconv.Itoa(id.Number)
}

// ParseListID is the inverse of [ListID.String]: it accepts one spelling.
func ParseListID(s string) (ListID, error) {
	ends, number, _ := strings.Cut(s, "-")
	var id ListID
	var err1, err2 error
	id.Ends, err1 = strconv.ParseInt(ends, 10, 64)
	id.Number, err2 = strconv.Atoi(number)
	if err1 != nil || err2 != nil || id.Ends <= 0 || id.Number < 0 || id.String() != s {
		return ListID{}, fmt.Errorf("%w: malformed identifier", ErrNotFound)
	}
	return id, nil
}

// dead tells whether no verifier accepts a token of the list any more.
func (id ListID) dead(now time.Time, leeway time.Duration) bool {
	return now.Add(-leeway).Unix() > id.Ends
}

// Dead returns a time at which everybody has forgotten the list, with room for clocks that differ: when a register may
// delete it.
func (id ListID) Dead() time.Time { return time.Unix(id.Ends, 0).Add(deadAfter) }

// deadAfter covers the leeway of verifiers, the differences of clocks, and a token that was slow to be signed.
const deadAfter = 5 * time.Minute

// NoteSize is the size of a [Header] and of each [Note] in a register, in bytes.
const NoteSize = 5*len(revocation.ID{}) + 4

// Header is how the places in a list are given out. It is set by who begins the list, and never changes.
type Header struct {
	Key  [16]byte // of the order in which indices are given out; a secret
	Size int      // how many tokens the list has places for
}

// Pack returns the header as registers keep it: [NoteSize] bytes.
func (h Header) Pack() []byte {
	b := make([]byte, NoteSize)
	copy(b, h.Key[:])
	binary.BigEndian.PutUint32(b[len(h.Key):], uint32(h.Size))
	return b
}

// UnpackHeader is the inverse of [Header.Pack].
func UnpackHeader(b []byte) (Header, error) {
	var h Header
	if len(b) != NoteSize {
		return h, fmt.Errorf("status list header: %d bytes, want %d", len(b), NoteSize)
	}
	copy(h.Key[:], b)
	h.Size = int(binary.BigEndian.Uint32(b[len(h.Key):]))
	if h.Size < 1 || h.Size > maxEntries {
		return h, fmt.Errorf("status list header: size %d", h.Size)
	}
	return h, nil
}

// Note is what a register keeps of a token: what revocations of it go by.
type Note revocation.Claims

// Pack returns the note as registers keep it: [NoteSize] bytes.
func (n Note) Pack() []byte {
	b := make([]byte, 0, NoteSize)
	for _, id := range []revocation.ID{n.Token, n.Session, n.Subject, n.Client, n.Key} {
		b = append(b, id[:]...)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n.IssuedAt)) // until 2106, as in the revocation set
}

// unpackNote is the inverse of [Note.Pack].
func unpackNote(b []byte, c *revocation.Claims) {
	_ = b[NoteSize-1]
	c.Token, c.Session, c.Subject = revocation.ID(b[0:16]), revocation.ID(b[16:32]), revocation.ID(b[32:48])
	c.Client, c.Key = revocation.ID(b[48:64]), revocation.ID(b[64:80])
	c.IssuedAt = int64(binary.BigEndian.Uint32(b[80:84]))
}

// Register keeps the notes of the tokens in each list, for all authd that issue them. Methods may be called concurrently
// and honour ctx. Errors caused by the backend wrap [ErrUnavailable].
type Register interface {
	// Append adds a note to a list and returns how many there were before, and the list's header. Where there is no such
	// list yet, it begins with the header fresh. That is one atomic step, so no two notes of a list get the same slot, and
	// it is durable once Append returns nil. After an error the outcome is unknown; a slot that nobody uses does no harm.
	// A list that has as many notes as its header says is [ErrFull].
	//
	// The register may forget a list once the moment that id.Dead names has passed.
	Append(ctx context.Context, id ListID, fresh Header, n Note) (slot int, h Header, err error)
	// Read returns a list's header, how many notes it has, and some or all of those from slot from on, one after the
	// other as [Note.Pack] packs them: at least one if there is one. A list that does not exist is [ErrNotFound].
	Read(ctx context.Context, id ListID, from int) (h Header, total int, notes []byte, err error)
}

package statuslist

import (
	"errors"
	"fmt"
)

// Status is what a list says of one token (section 7.1).
type Status uint8

// The registered values. Others have no meaning that all agree on.
const (
	Valid     Status = 0
	Invalid   Status = 1 // revoked, for good
	Suspended Status = 2 // does not hold at present
)

// String returns the registered name, or the number.
func (s Status) String() string {
	switch s {
	case Valid:
		return "VALID"
	case Invalid:
		return "INVALID"
	case Suspended:
		return "SUSPENDED"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// ErrFormat is what is wrong with a list that breaks the rules of section 4, or is larger than allowed.
var ErrFormat = errors.New("status list malformed")

// List is an array of statuses of 1, 2, 4 or 8 bits each (section 4.1). Reading may be concurrent, writing not.
type List struct {
	bits uint
	data []byte
}

// NewList returns a list of n statuses, all [Valid]. n is rounded up so that whole bytes are used.
func NewList(bits, n int) (*List, error) {
	if err := checkBits(bits); err != nil {
		return nil, err
	}
	if n < 1 || n > maxEntries {
		return nil, fmt.Errorf("%w: %d entries, want 1 to %d", ErrFormat, n, maxEntries)
	}
	perByte := 8 / bits
	return &List{uint(bits), make([]byte, (n+perByte-1)/perByte)}, nil
}

// maxEntries keeps sizes in bytes within an int everywhere.
const maxEntries = 1 << 28

func checkBits(bits int) error {
	switch bits {
	case 1, 2, 4, 8:
		return nil
	}
	return fmt.Errorf("%w: %d bits, want 1, 2, 4 or 8", ErrFormat, bits)
}

// Bits returns how many bits a status has.
func (l *List) Bits() int { return int(l.bits) }

// Len returns how many statuses there are.
func (l *List) Len() int { return len(l.data) * int(8/l.bits) }

// Get returns the status at index i. ok is false beyond the end of the list, which then says nothing.
func (l *List) Get(i uint64) (s Status, ok bool) {
	if i >= uint64(l.Len()) {
		return 0, false
	}
	at, shift := l.place(i)
	return Status(l.data[at]>>shift) & Status(1<<l.bits-1), true
}

// Set changes the status at index i, which must be within the list, to one that its bits can hold.
func (l *List) Set(i uint64, s Status) error {
	if i >= uint64(l.Len()) || uint(s) >= 1<<l.bits {
		return fmt.Errorf("%w: %v at %d does not fit %d entries of %d bits", ErrFormat, s, i, l.Len(), l.bits)
	}
	at, shift := l.place(i)
	l.data[at] = l.data[at]&^(byte(1<<l.bits-1)<<shift) | byte(s)<<shift
	return nil
}

// place returns in which byte a status is, and how far from its lowest bit.
func (l *List) place(i uint64) (at uint64, shift uint) {
	perByte := uint64(8 / l.bits)
	return i / perByte, uint(i%perByte) * l.bits
}

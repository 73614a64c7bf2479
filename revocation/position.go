package revocation

import (
	"fmt"
	"strconv"
	"strings"
)

// maxEpoch bounds the length of an epoch's name, in bytes.
const maxEpoch = 64

// String returns the position as feeds write it, "epoch-seq"; the zero Position is "".
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return p.Epoch + "-" + strconv.FormatUint(p.Seq, 10)
}

// ParsePosition is the inverse of [Position.String]. An epoch is 1 to 64 visible ASCII characters.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	dash := strings.LastIndexByte(s, '-') // the epoch may contain dashes, the number cannot
	if dash < 1 || dash > maxEpoch {
		return Position{}, fmt.Errorf("position: want epoch-seq with an epoch of 1 to %d characters", maxEpoch)
	}
	for _, c := range []byte(s[:dash]) {
		if c <= ' ' || c > '~' {
			return Position{}, fmt.Errorf("position: epoch has a character that is not visible ASCII")
		}
	}
	seq, err := strconv.ParseUint(s[dash+1:], 10, 64)
	if err != nil || strconv.FormatUint(seq, 10) != s[dash+1:] {
		return Position{}, fmt.Errorf("position: want a sequence number after the last dash")
	}
	return Position{Epoch: s[:dash], Seq: seq}, nil
}

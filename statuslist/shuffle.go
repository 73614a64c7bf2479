package statuslist

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// shuffle maps the numbers below size onto themselves, one to one, in an order that nobody can tell without the key. An
// index that counted up would tell each holder of a token when it was issued among the others, and how many there are
// (section 12.4).
//
// It is a Feistel network with AES as its round function: whatever that is, the network can be run backwards, so no two
// numbers meet. It works on an even number of bits; what comes out beyond size goes in again until it does not.
type shuffle struct {
	block cipher.Block
	half  uint // bits of one half
	size  uint64
}

const rounds = 6

func newShuffle(key [16]byte, size int) (*shuffle, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("shuffling indices: %w", err)
	}
	width := max(bits.Len64(uint64(size-1)), 2)
	return &shuffle{block, uint(width+1) / 2, uint64(size)}, nil
}

// index returns where the token in this slot, which is below size, has its status.
func (s *shuffle) index(slot int) uint64 {
	i := uint64(slot)
	for {
		if i = s.permute(i); i < s.size {
			return i
		}
	}
}

func (s *shuffle) permute(i uint64) uint64 {
	mask := uint64(1)<<s.half - 1
	left, right := i>>s.half, i&mask
	var in, out [aes.BlockSize]byte
	for round := range rounds {
		in[0] = byte(round)
		binary.BigEndian.PutUint64(in[8:], right)
		s.block.Encrypt(out[:], in[:])
		left, right = right, left^binary.BigEndian.Uint64(out[8:])&mask
	}
	return left<<s.half | right
}

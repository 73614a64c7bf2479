package token

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// What crypto/ecdsa is given must be what encoding/asn1 writes, also for numbers with zeros in front or their first
// bit set.
func TestSignatureInDER(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string) []byte {
			n := make([]byte, p256Size)
			value := rapid.SliceOfN(rapid.Byte(), 0, p256Size).Draw(t, name)
			copy(n[p256Size-len(value):], value)
			return n
		}
		r, s := number("r"), number("s")
		want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
		if err != nil {
			t.Fatal(err)
		}
		if got := appendASN1(nil, append(r, s...)); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	})
}

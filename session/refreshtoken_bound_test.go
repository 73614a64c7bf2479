package session

import (
	"encoding/base64"
	"strings"
	"testing"
)

// The values were computed with Python's hmac module, as those of the other versions.
func TestBoundRefreshTokenFormat(t *testing.T) {
	const want = "authd_rt_AwECAwQAAQIDBAUGBwgJCgsMDQ4PAAAAAAAAAQIAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH3N1Yi1hbGljZUtDMGfjxf4_JH7iK4uVcYu4-3XJTOtAv2osah23bx6J"
	id := ID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	var thumbprint [32]byte
	for i := range thumbprint {
		thumbprint[i] = byte(i)
	}
	bound := func(subject string) refreshToken {
		return newRefreshToken(0x01020304, testKey, id, 258, subject).boundTo(thumbprint, testKey)
	}
	if got := bound("sub-alice").encode(); got != want {
		t.Errorf("encode: %s\nwant:   %s", got, want)
	}
	for _, subject := range []string{"", "sub-alice", strings.Repeat("a", maxTokenSubject)} {
		raw := bound(subject).encode()
		got, err := parseRefreshToken(raw)
		if err != nil || !got.bound || got.thumbprint != thumbprint || got.subject != subject || !got.verify(testKey) || got.generation != 258 {
			t.Errorf("subject of %d bytes: parsed %+v, %v", len(subject), got, err)
		}
		if len(raw) > 512 {
			t.Errorf("subject of %d bytes: a token of %d", len(subject), len(raw))
		}
	}
}

// Neither cutting a thumbprint off nor changing a version makes a good token.
func TestBoundRefreshTokenCannotBecomeAnother(t *testing.T) {
	raw := newRefreshToken(1, testKey, ID{1}, 1, "alice").boundTo([32]byte{1, 2, 3}, testKey).encode()
	b, err := base64.RawURLEncoding.DecodeString(raw[len(refreshPrefix):])
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) string { return refreshPrefix + base64.RawURLEncoding.EncodeToString(b) }
	for i := range b {
		b[i] ^= 1
		if got, err := parseRefreshToken(encode(b)); err == nil && got.verify(testKey) {
			t.Errorf("accepted with byte %d changed", i)
		}
		b[i] ^= 1
	}
	for _, version := range []byte{versionBare, versionSubject} {
		b[0] = version
		if got, err := parseRefreshToken(encode(b)); err == nil && got.verify(testKey) {
			t.Errorf("accepted as version %d", version)
		}
	}
	b[0] = versionBound
	for cut := range 64 {
		if got, err := parseRefreshToken(encode(append(b[:signedLen:signedLen], b[min(signedLen+1+cut, len(b)):]...))); err == nil && got.verify(testKey) {
			t.Errorf("accepted without %d bytes", cut+1)
		}
	}
}

package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// Encode returns the list compressed by DEFLATE in the ZLIB format, in base64url: the "lst" of section 4.2.
func (l *List) Encode() (string, error) {
	var b strings.Builder
	text := base64.NewEncoder(base64.RawURLEncoding, &b)
	z, err := zlib.NewWriterLevel(text, zlib.BestCompression) // as section 4.1 recommends
	if err != nil {
		return "", fmt.Errorf("compressing a status list: %w", err)
	}
	if _, err := z.Write(l.data); err != nil {
		return "", fmt.Errorf("compressing a status list: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("compressing a status list: %w", err)
	}
	if err := text.Close(); err != nil {
		return "", fmt.Errorf("encoding a status list: %w", err)
	}
	return b.String(), nil
}

// Decode is the inverse of [List.Encode]. A few bytes can unpack to gigabytes: one of more than maxBytes is refused, and
// no more than that is ever unpacked. Everything that is not exactly one such list is refused too. Errors wrap
// [ErrFormat].
func Decode(bits int, lst string, maxBytes int) (*List, error) {
	if err := checkBits(bits); err != nil {
		return nil, err
	}
	if strings.ContainsAny(lst, "\r\n") { // which Go's decoder skips
		return nil, fmt.Errorf("%w: not base64url", ErrFormat)
	}
	packed, err := base64.RawURLEncoding.Strict().DecodeString(lst)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url without padding", ErrFormat)
	}
	rest := bytes.NewReader(packed)
	z, err := zlib.NewReader(rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, int64(maxBytes)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case len(data) > maxBytes:
		return nil, fmt.Errorf("%w: unpacks to more than %d bytes", ErrFormat, maxBytes)
	case rest.Len() > 0:
		return nil, fmt.Errorf("%w: something follows the list", ErrFormat)
	case len(data) == 0:
		return nil, fmt.Errorf("%w: empty", ErrFormat)
	}
	return &List{uint(bits), data}, nil
}

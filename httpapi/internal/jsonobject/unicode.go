package jsonobject

import "strings"

// hasLoneSurrogate finds a \u escape of half a UTF-16 pair, which encoding/json would replace in silence. It may be
// called on anything; on what is not JSON the answer means nothing, and decoding fails later.
func hasLoneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++ // what is escaped; never a second backslash taken for the start of an escape
		unit, ok := escapedUnit(text, i)
		if !ok {
			continue
		}
		i += 4
		switch {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			if i+2 >= len(text) || text[i+1] != '\\' {
				return true
			}
			low, ok := escapedUnit(text, i+2)
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

// escapedUnit reads uXXXX at i.
func escapedUnit(text []byte, i int) (unit rune, ok bool) {
	if i+4 >= len(text) || text[i] != 'u' {
		return 0, false
	}
	for _, b := range text[i+1 : i+5] {
		digit := strings.IndexByte("0123456789abcdef", b|0x20)
		if digit < 0 || b < '0' {
			return 0, false
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}

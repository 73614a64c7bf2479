package token

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deeply JSON values may nest; the outermost object is at depth 1.
const maxDepth = 16

// scanner reads one JSON text (RFC 8259) strictly and in one pass: valid UTF-8, no lone surrogates, no duplicate
// names, bounded depth, nothing after the value. The strings it returns are parts of the text unless they had
// escapes.
//
// The first defect sticks: what is read after it is worthless, loops over members and elements end, and [scanner.end]
// reports it. So the code that reads a header or claims needs no error handling of its own.
type scanner struct {
	part   string // for defects
	text   string
	pos    int
	depth  int
	first  bool     // no element of the innermost open array or object was read yet
	plain  bool     // the text is printable ASCII without a backslash: what most tokens are, and quicker to read
	listed []string // what the lists read so far hold; they are parts of it
	defect *defect
}

func newScanner(part, text string) scanner {
	s := scanner{part: part, text: text, plain: isPlain(text)}
	if !s.plain && !utf8.ValidString(text) {
		s.defect = &defect{part: part, why: badUnicode}
	}
	return s
}

// isPlain tells whether text has no bytes but ' ' to '~', and no backslash.
func isPlain(text string) bool {
	const (
		ones  = 0x0101010101010101 // times c: c in each of 8 bytes
		highs = ones * 0x80
	)
	for len(text) >= 8 {
		// Eight bytes at a time: below 0x80, a byte's high bit is set by subtracting what it is less than, and by
		// adding what takes it to 0x80. (Borrows and carries reach the next byte only when one was found already.)
		w := binary.LittleEndian.Uint64([]byte(text[:8]))
		if (w|(w-ones*' ')|(w+ones)|((w^ones*'\\')-ones))&highs != 0 {
			return false
		}
		text = text[8:]
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// fail records the first defect. Inlined, it would crowd the loops that call it and never do.
//
//go:noinline
func (s *scanner) fail(member string, why reason) {
	if s.defect == nil {
		s.defect = &defect{part: s.part, member: member, why: why}
	}
}

// end checks that nothing follows the value, and returns the first defect, or nil.
func (s *scanner) end() error {
	if s.peek(); s.pos != len(s.text) {
		s.fail("", notJSON)
	}
	if s.defect != nil {
		return s.defect
	}
	return nil
}

// peek returns the next byte that is not white space, and 0 at the end. (A NUL in the text is never valid there
// either.) It is written so as to be inlined: issuers write no white space.
func (s *scanner) peek() (c byte) {
	if s.pos < len(s.text) {
		c = s.text[s.pos]
	}
	if c <= ' ' {
		return s.peekFurther()
	}
	return c
}

func (s *scanner) peekFurther() byte {
	for s.at(' ') || s.at('\t') || s.at('\n') || s.at('\r') {
		s.pos++
	}
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

// take consumes c, which must come next.
func (s *scanner) take(c byte) {
	if s.peek() == c {
		s.pos++
		return
	}
	s.fail("", notJSON)
}

// enter opens an array or object.
func (s *scanner) enter(open byte) {
	s.take(open)
	s.depth++
	if s.depth > maxDepth {
		s.fail("", tooDeep)
	}
	s.first = true
}

// next tells whether another element follows in the innermost array or object, and moves to it. At the closing
// bracket it consumes that and leaves.
func (s *scanner) next(closing byte) bool {
	c := s.peek()
	if c == closing && s.defect == nil {
		s.pos++
		s.depth--
		s.first = false
		return false
	}
	if !s.first {
		s.take(',')
	}
	s.first = false
	return s.defect == nil
}

// name reads the name of a member and its colon.
func (s *scanner) name() string {
	name := s.string()
	s.take(':')
	return name
}

// string reads a string.
func (s *scanner) string() string {
	s.take('"')
	return s.content()
}

// content reads a string whose opening quote was read.
func (s *scanner) content() string {
	if s.defect != nil {
		return ""
	}
	text := s.text[s.pos:]
	if s.plain {
		if end := strings.IndexByte(text, '"'); end >= 0 {
			s.pos += end + 1
			return text[:end]
		}
	}
	escaped := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			s.pos += i + 1
			if escaped {
				return s.unescape(text[:i])
			}
			return text[:i]
		case c == '\\':
			escaped = true
			i++ // whatever is escaped, it does not end the string; unescape judges it
		case c < ' ':
			s.fail("", notJSON)
			return ""
		}
	}
	s.fail("", notJSON) // no closing quote
	return ""
}

// unescape resolves the escapes of a string's raw content.
func (s *scanner) unescape(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			i++
			continue
		}
		if c := simpleEscape(raw[i+1]); c != 0 {
			b.WriteByte(c)
			i += 2
			continue
		}
		r, ok := hexEscape(raw[i:])
		i += len(`\u0000`)
		if ok && utf16.IsSurrogate(r) {
			var low rune
			if low, ok = hexEscape(raw[min(i, len(raw)):]); ok {
				r = utf16.DecodeRune(r, low)
			}
			if i += len(`\u0000`); !ok || r == utf8.RuneError {
				s.fail("", badUnicode) // a lone surrogate: another reader may replace it, or not
				return ""
			}
		} else if !ok {
			s.fail("", notJSON)
			return ""
		}
		b.WriteRune(r)
	}
	return b.String()
}

// simpleEscape returns what a backslash and c stand for, or 0 when they are no two-character escape.
func simpleEscape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// hexEscape reads the \uXXXX that s begins with.
func hexEscape(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and returns its text.
func (s *scanner) number() string {
	s.peek()
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else {
		s.digits()
	}
	if s.at('.') {
		s.pos++
		s.digits()
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		s.digits()
	}
	return s.text[start:s.pos]
}

// at tells whether c comes next, white space not skipped.
func (s *scanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

// digits reads one digit or more.
func (s *scanner) digits() {
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos]-'0' <= 9 {
		s.pos++
	}
	if s.pos == start {
		s.fail("", notJSON)
	}
}

// value reads any value and returns its text.
func (s *scanner) value() string {
	c := s.peek()
	start := s.pos
	switch c {
	case '{':
		s.object()
	case '[':
		s.enter('[')
		for s.next(']') {
			s.value()
		}
	case '"':
		s.string()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		if _, err := strconv.ParseFloat(s.number(), 64); err != nil {
			s.fail("", outOfRange) // RFC 8259 section 6: other readers may have no such number
		}
	}
	if s.defect != nil {
		return ""
	}
	return s.text[start:s.pos]
}

func (s *scanner) literal(word string) {
	if !strings.HasPrefix(s.text[s.pos:], word) {
		s.fail("", notJSON)
		return
	}
	s.pos += len(word)
}

// object reads an object whose members do not matter, except that no name may come twice.
func (s *scanner) object() {
	var seen names
	s.enter('{')
	for s.next('}') {
		if !seen.add(s.name()) {
			s.fail("", duplicate)
		}
		s.value()
	}
}

// names is a set of member names. Small ones are searched, larger ones hashed, so that reading stays linear in the
// size of the text.
type names struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

// add reports whether name was new.
func (n *names) add(name string) bool {
	for _, have := range n.few[:n.n] {
		if have == name {
			return false
		}
	}
	if n.n < len(n.few) {
		n.few[n.n] = name
		n.n++
		return true
	}
	if _, have := n.many[name]; have {
		return false
	}
	if n.many == nil {
		n.many = make(map[string]struct{})
	}
	n.many[name] = struct{}{}
	return true
}

package token

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of what a claim may hold. All lie well inside the cap on the whole token, maxSize.
const (
	maxIdentifier = 255          // bytes; what OpenID Connect Core section 2 allows sub
	maxText       = 2048         // bytes of scope
	maxList       = 64           // values of aud, amr, roles
	maxDate       = 253402300799 // 9999-12-31T23:59:59Z: later years have no RFC 3339 form
)

// claim is a claim that the decoder knows.
type claim uint

const (
	customClaim claim = iota
	issClaim
	subClaim
	audClaim
	expClaim
	iatClaim
	nbfClaim
	authTimeClaim
	jtiClaim
	sidClaim
	clientIDClaim
	scopeClaim
	amrClaim
	acrClaim
	rolesClaim
	cnfClaim
	statusClaim
	actClaim
)

// claimNamed returns the claim of that exact name.
func claimNamed(name string) claim {
	switch name {
	case "iss":
		return issClaim
	case "sub":
		return subClaim
	case "aud":
		return audClaim
	case "exp":
		return expClaim
	case "iat":
		return iatClaim
	case "nbf":
		return nbfClaim
	case "auth_time":
		return authTimeClaim
	case "jti":
		return jtiClaim
	case "sid":
		return sidClaim
	case "client_id":
		return clientIDClaim
	case "scope":
		return scopeClaim
	case "amr":
		return amrClaim
	case "acr":
		return acrClaim
	case "roles":
		return rolesClaim
	case "cnf":
		return cnfClaim
	case "status":
		return statusClaim
	case "act":
		return actClaim
	}
	return customClaim
}

// requiredClaims are those that RFC 9068 section 2.2 requires. sid is not among them: a client that acts for itself
// has no session.
var requiredClaims = [...]struct {
	claim
	name string
}{
	{issClaim, "iss"}, {expClaim, "exp"}, {audClaim, "aud"}, {subClaim, "sub"},
	{clientIDClaim, "client_id"}, {iatClaim, "iat"}, {jtiClaim, "jti"},
}

// decodeClaims reads a claims set strictly into c, whose fields are zero except KeyID. The strings of c are parts of
// text; lists, an empty slice, is where aud, amr and roles are kept as far as it has room.
func decodeClaims(text string, c *Claims, lists []string) error {
	s := newScanner("claims", text)
	s.listed = lists
	if s.peek() != '{' {
		s.fail("", notObject)
	}
	var seen uint // bit set of claim
	s.enter('{')
	for s.next('}') {
		name := s.name()
		known := claimNamed(name)
		if known == customClaim {
			s.custom(name, c)
			continue
		}
		if seen&(1<<known) != 0 {
			s.fail(name, duplicate)
		}
		seen |= 1 << known
		s.claim(known, name, c)
	}
	for _, r := range requiredClaims {
		if seen&(1<<r.claim) == 0 {
			s.fail(r.name, missing)
		}
	}
	return s.end()
}

// claim reads the value of a known claim.
func (s *scanner) claim(known claim, name string, c *Claims) {
	switch known {
	case issClaim:
		c.Issuer = s.identifier(name)
	case subClaim:
		c.Subject = s.identifier(name)
	case audClaim:
		c.Audience = s.audience(name)
	case expClaim:
		c.ExpiresAt = s.date(name)
	case iatClaim:
		c.IssuedAt = s.date(name)
	case nbfClaim:
		c.NotBefore = s.date(name)
	case authTimeClaim:
		c.AuthTime = s.date(name)
	case jtiClaim:
		c.ID = s.identifier(name)
	case sidClaim:
		c.SessionID = s.identifier(name)
	case clientIDClaim:
		c.ClientID = s.identifier(name)
	case scopeClaim:
		c.Scope = s.bounded(name, maxText)
	case amrClaim:
		c.AMR = s.list(name)
	case acrClaim:
		c.ACR = s.identifier(name)
	case rolesClaim:
		c.Roles = s.list(name)
	case cnfClaim:
		c.KeyThumbprint = s.confirmation(name)
	case statusClaim:
		c.Status = s.status(name)
	case actClaim:
		c.Actor = s.actor(name, maxActors)
	case customClaim:
	}
}

// custom reads the value of a claim that the decoder does not know.
func (s *scanner) custom(name string, c *Claims) {
	if folded := foldName(name); claimNamed(folded) != customClaim {
		s.fail(folded, lookAlike)
	}
	if _, have := c.Custom[name]; have {
		s.fail("", duplicate)
	}
	value := s.value()
	if c.Custom == nil {
		c.Custom = make(map[string]json.RawMessage)
	}
	c.Custom[name] = json.RawMessage(value)
}

// identifier reads a string that names something: not empty, bounded, without control characters.
func (s *scanner) identifier(member string) string {
	text := s.bounded(member, maxIdentifier)
	if text == "" {
		s.fail(member, empty)
	}
	return text
}

// bounded reads a string of at most limit bytes without control characters (C0, DEL, C1).
func (s *scanner) bounded(member string, limit int) string {
	if s.peek() != '"' {
		s.fail(member, wrongType)
		return ""
	}
	s.pos++
	text := s.content()
	if len(text) > limit {
		s.fail(member, tooLong)
	}
	if !s.plain && strings.ContainsFunc(text, unicode.IsControl) {
		s.fail(member, controlChar)
	}
	return text
}

// list reads an array of identifiers.
func (s *scanner) list(member string) []string {
	if s.peek() != '[' {
		s.fail(member, wrongType)
	}
	first := len(s.listed)
	s.enter('[')
	for s.next(']') {
		if len(s.listed)-first == maxList {
			s.fail(member, tooLong)
		}
		s.listed = append(s.listed, s.identifier(member))
	}
	return s.listed[first:len(s.listed):len(s.listed)]
}

// audience reads one identifier or an array of at least one (RFC 7519 section 4.1.3).
func (s *scanner) audience(member string) []string {
	if s.peek() == '"' {
		first := len(s.listed)
		s.listed = append(s.listed, s.identifier(member))
		return s.listed[first : first+1 : first+1]
	}
	values := s.list(member)
	if len(values) == 0 {
		s.fail(member, empty)
	}
	return values
}

// date reads a NumericDate (RFC 7519 section 2): seconds since 1970, from there to the year 9999. A fraction is cut
// off, as revocation cut-offs count whole seconds.
func (s *scanner) date(member string) time.Time {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		s.fail(member, wrongType)
		return time.Time{}
	}
	if seconds, ok := s.wholeSeconds(); ok {
		return time.Unix(seconds, 0).UTC()
	}
	// Compared as a float, since a conversion that overflows is undefined.
	f, err := strconv.ParseFloat(s.number(), 64)
	if err != nil || !(f >= 0 && f <= maxDate) {
		s.fail(member, outOfRange)
		return time.Time{}
	}
	return time.Unix(int64(f), 0).UTC()
}

// wholeSeconds reads an ordinary date: ten digits or eleven and nothing else, so well within range. It leaves all other
// numbers unread.
func (s *scanner) wholeSeconds() (seconds int64, ok bool) {
	text := s.text[s.pos:]
	for i := range len(text) {
		switch digit := text[i] - '0'; {
		case digit <= 9 && (i > 0 || digit > 0) && i < 11:
			seconds = seconds*10 + int64(digit)
		case (text[i] == ',' || text[i] == '}') && i >= 10:
			s.pos += i
			return seconds, true
		default:
			return 0, false
		}
	}
	return 0, false
}

// foldName returns name as readers see it that compare without regard to case, which encoding/json does for the
// fields of a struct: lower-case, with U+017F for s and U+212A for k. It returns "" for names that contain other
// non-ASCII characters or are longer than every registered one.
func foldName(name string) string {
	var folded [len("auth_time")]byte
	n := 0
	for _, r := range name {
		switch {
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		case r == 'ſ':
			r = 's'
		case r == '\u212a':
			r = 'k'
		}
		if r > '~' || n == len(folded) {
			return ""
		}
		folded[n] = byte(r)
		n++
	}
	return string(folded[:n])
}

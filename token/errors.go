package token

import (
	"errors"
	"fmt"
)

// What a [Verifier] answers. All but ErrUnavailable say something about the token and wrap ErrInvalid; an HTTP server
// answers those with 401 invalid_token (RFC 6750 section 3.1) and ErrUnavailable with 503. None of them quotes the
// token.
var (
	// ErrInvalid is the root of every refusal.
	ErrInvalid = errors.New("invalid token")
	// ErrMalformed refuses what is no JWT of the RFC 9068 profile: its size, encoding, JSON, header or members.
	ErrMalformed = fmt.Errorf("%w: malformed", ErrInvalid)
	// ErrSignature refuses a wrong signature, and an algorithm that is not accepted (none, HMAC, PSS and the like).
	ErrSignature = fmt.Errorf("%w: signature", ErrInvalid)
	// ErrUnknownKey refuses a token whose kid names no current key of the issuer for the token's algorithm.
	ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrInvalid)
	// ErrExpired refuses a token whose exp has passed, leeway included.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalid)
	// ErrNotYetValid refuses a token whose nbf or iat lies in the future, beyond the leeway.
	ErrNotYetValid = fmt.Errorf("%w: not yet valid", ErrInvalid)
	// ErrIssuer refuses a token of another issuer.
	ErrIssuer = fmt.Errorf("%w: issuer", ErrInvalid)
	// ErrAudience refuses a token that is meant for others.
	ErrAudience = fmt.Errorf("%w: audience", ErrInvalid)
	// ErrBound refuses a good token that is bound to a key and came without a proof of it: as a bearer token.
	ErrBound = fmt.Errorf("%w: bound to a key, and no proof of it", ErrInvalid)
	// ErrOtherKey refuses a good token that is bound to another key than was proved.
	ErrOtherKey = fmt.Errorf("%w: bound to another key than was proved", ErrInvalid)
	// ErrNotBound refuses a good bearer token that came as if it were bound to a key.
	ErrNotBound = fmt.Errorf("%w: not bound to a key", ErrInvalid)
	// ErrRevoked refuses a good token that was revoked.
	ErrRevoked = fmt.Errorf("%w: revoked", ErrInvalid)

	// ErrUnavailable means that it cannot be told: the keys or the revocation set are not at hand or too old. It does
	// not wrap ErrInvalid: the same token may pass a moment later.
	ErrUnavailable = errors.New("token check unavailable")
	// ErrClaims is what an [Issuer] answers to claims that no [Verifier] would accept. It does not wrap ErrInvalid,
	// because the fault lies with the issuing side.
	ErrClaims = errors.New("claims cannot be issued")
)

// reason says what is wrong with a header or a claims set. The set is closed, so that tests can say which reasons
// refuse a token that another library accepts.
type reason string

const (
	notJSON       reason = "not valid JSON"
	notObject     reason = "not a JSON object"
	badUnicode    reason = "not valid Unicode"
	tooDeep       reason = "nested too deeply"
	duplicate     reason = "given twice"
	lookAlike     reason = "spelt like a registered name"
	wrongType     reason = "of the wrong JSON type"
	outOfRange    reason = "out of range"
	empty         reason = "empty"
	tooLong       reason = "too long"
	controlChar   reason = "has a control character"
	missing       reason = "missing"
	unsupported   reason = "not supported"
	lifeTooLong   reason = "longer after iat than a token may live"
	expBeforeIat  reason = "not after iat"
	wrongTyp      reason = "not at+jwt"
	otherTyp      reason = "not of the expected kind"
	badKeyID      reason = "not a well-formed key identifier"
	badThumbprint reason = "not a thumbprint"
	unencodedPart reason = "not base64url without padding"
)

// defect is an ErrMalformed that knows where.
type defect struct {
	part   string // header, claims, signature
	member string // a registered name, empty for the part as a whole and for members of other names
	why    reason
}

func (d *defect) Error() string {
	if d.member == "" {
		return fmt.Sprintf("%v: %s: %s", ErrMalformed, d.part, d.why)
	}
	return fmt.Sprintf("%v: %s: %s: %s", ErrMalformed, d.part, d.member, d.why)
}

func (d *defect) Unwrap() error { return ErrMalformed }

package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// JWKS is the published key set (RFC 7517), ready to be served.
type JWKS struct {
	Body   []byte        // shared; must not be changed
	ETag   string        // strong (RFC 9110 section 8.8.3), with its quotes
	MaxAge time.Duration // for Cache-Control: whole seconds, from 1 s to Policy.JWKSMaxAge
}

// jwksOf writes the document with every key that is not revoked, oldest first. Its bytes depend on the set of keys and
// not on their states, so that an activation, which changes nothing for a verifier, changes no ETag.
func jwksOf(r Ring) (body []byte, etag string, err error) {
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{Keys: []map[string]string{}}
	for _, k := range r.Keys {
		if !k.published() {
			continue
		}
		m, err := membersOf(k.Private.Public())
		if err != nil {
			return nil, "", fmt.Errorf("writing the JWKS: key %s: %w", k.ID, err)
		}
		m["kid"], m["alg"], m["use"] = k.ID, k.Algorithm, "sig"
		set.Keys = append(set.Keys, m)
	}
	if len(set.Keys) == 0 {
		return nil, "", fmt.Errorf("%w: the ring has no key to publish", ErrUnavailable)
	}
	if body, err = json.Marshal(set); err != nil {
		return nil, "", fmt.Errorf("writing the JWKS: %w", err)
	}
	sum := sha256.Sum256(body)
	return body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, nil
}

// maxAge returns the max-age of the JWKS of r: until the next change that is due, so that verifiers pick up the new
// standby soon after it appears, and at most JWKSMaxAge. A change that is overdue does not make it shorter; nothing
// depends on verifiers seeing it early.
func (p Policy) maxAge(now time.Time, r Ring) time.Duration {
	age := p.JWKSMaxAge
	if next := p.nextChange(now, r); !next.IsZero() {
		age = min(age, next.Sub(now))
	}
	return max(age.Truncate(time.Second), time.Second)
}

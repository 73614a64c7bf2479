package statuslist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/authd-project/authd/token"
)

const (
	// MediaType is what a status list token is over HTTP (section 8.1).
	MediaType = "application/statuslist+jwt"

	tokenType = "statuslist+jwt"
	// maxTokenBytes bounds the tokens that are made here. What is read has bounds of its own.
	maxTokenBytes = 1 << 30
)

// Token is a Status List Token (section 5.1): a list, and for how long one may go by it. Times are whole seconds.
type Token struct {
	URI       string        // sub: where the list is, exactly as tokens name it
	IssuedAt  time.Time     // iat
	ExpiresAt time.Time     // exp; zero when there is none
	TTL       time.Duration // ttl: how long after it was fetched the list may be used without looking for a newer one; 0 for none
	List      *List
}

type wireToken struct {
	URI       string   `json:"sub"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp,omitempty"`
	TTL       int64    `json:"ttl,omitempty"`
	List      wireList `json:"status_list"`
}

type wireList struct {
	Bits int    `json:"bits"`
	List string `json:"lst"`
}

// Sign returns t as a JWT, signed with the key that signs access tokens now. Read the clock for t before the call, so
// that the list cannot outlive its key.
func Sign(ctx context.Context, keys token.SigningKeys, t Token) (string, error) {
	lst, err := t.List.Encode()
	if err != nil {
		return "", err
	}
	w := wireToken{
		URI: t.URI, IssuedAt: t.IssuedAt.Unix(), TTL: int64(t.TTL / time.Second), List: wireList{t.List.Bits(), lst},
	}
	if !t.ExpiresAt.IsZero() {
		w.ExpiresAt = t.ExpiresAt.Unix()
	}
	profile, err := token.NewProfile(tokenType, maxTokenBytes)
	if err != nil {
		return "", err
	}
	return profile.Sign(ctx, keys, w)
}

// Limits bound what a list that somebody else made may cost.
type Limits struct {
	TokenBytes int // of the JWT
	ListBytes  int // of the list, unpacked
}

// Open verifies a JWT with the issuer's keys and returns what it says. It does not look at the clock, and not whether
// the list is the one that was asked for: that is for the caller to compare. Its errors are those of [token.Verifier],
// or wrap [ErrFormat].
func Open(ctx context.Context, keys token.VerificationKeys, raw string, l Limits) (Token, error) {
	profile, err := token.NewProfile(tokenType, l.TokenBytes)
	if err != nil {
		return Token{}, err
	}
	claims, err := profile.Open(ctx, keys, raw)
	if err != nil {
		return Token{}, fmt.Errorf("status list token: %w", err)
	}
	t, err := readToken(claims, l)
	if err != nil {
		return Token{}, fmt.Errorf("status list token: %w", err)
	}
	return t, nil
}

func readToken(claims map[string]json.RawMessage, l Limits) (t Token, err error) {
	var ttl float64
	errs := []error{
		member(claims, "sub", true, &t.URI),
		date(claims, "iat", true, &t.IssuedAt),
		date(claims, "exp", false, &t.ExpiresAt),
		member(claims, "ttl", false, &ttl),
	}
	if _, have := claims["ttl"]; have && (ttl <= 0 || ttl > maxTTL.Seconds()) {
		errs = append(errs, fmt.Errorf("%w: ttl: out of range", ErrFormat))
	}
	t.TTL = time.Duration(ttl * float64(time.Second))
	var list map[string]json.RawMessage
	var bits int
	var lst string
	errs = append(errs, member(claims, "status_list", true, &list), member(list, "bits", true, &bits), member(list, "lst", true, &lst))
	if err := errors.Join(errs...); err != nil {
		return Token{}, err
	}
	t.List, err = Decode(bits, lst, l.ListBytes)
	return t, err
}

// maxTTL keeps a ttl within what durations can hold. Nobody means to wait a year.
const maxTTL = 366 * 24 * time.Hour

// member reads one member of that exact name.
func member(from map[string]json.RawMessage, name string, required bool, into any) error {
	text, have := from[name]
	switch {
	case !have && required:
		return fmt.Errorf("%w: %s: missing", ErrFormat, name)
	case !have:
		return nil
	case string(text) == "null":
		return fmt.Errorf("%w: %s: null", ErrFormat, name)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %s: of the wrong JSON type", ErrFormat, name)
	}
	return nil
}

// date reads a NumericDate (RFC 7519 section 2).
func date(from map[string]json.RawMessage, name string, required bool, into *time.Time) error {
	var seconds float64
	if err := member(from, name, required, &seconds); err != nil {
		return err
	}
	if _, have := from[name]; !have {
		return nil
	}
	const year9999 = 253402300799
	if !(seconds > 0 && seconds <= year9999) {
		return fmt.Errorf("%w: %s: out of range", ErrFormat, name)
	}
	*into = time.Unix(int64(seconds), 0).UTC()
	return nil
}

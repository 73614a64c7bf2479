package dpop

import (
	"errors"
	"fmt"
)

// What is answered about a proof. Servers answer an ErrInvalid with invalid_dpop_proof, ErrNonce with use_dpop_nonce, and
// ErrUnavailable with 503. None of them quotes the proof.
var (
	// ErrInvalid is the root of every refusal.
	ErrInvalid = errors.New("invalid DPoP proof")
	// ErrMissing refuses a request without a proof where there must be one.
	ErrMissing = fmt.Errorf("%w: missing", ErrInvalid)
	// ErrReplayed refuses a proof that was used before.
	ErrReplayed = fmt.Errorf("%w: used before", ErrInvalid)
	// ErrNonce refuses a proof without a current nonce of the server. The client tries again with the nonce it is given.
	ErrNonce = errors.New("a DPoP proof with a nonce of this server is required")
	// ErrUnavailable means that it cannot be told whether a proof was used before, or whether its nonce is good.
	ErrUnavailable = errors.New("DPoP check unavailable")
)

// defect is an ErrInvalid that says why. The texts are fixed, so that they may be told to the client.
type defect string

func (d defect) Error() string { return ErrInvalid.Error() + ": " + string(d) }

func (d defect) Unwrap() error { return ErrInvalid }

// Explain says for the client what is wrong with its proof: a sentence without quotes and backslashes. It is empty for
// errors of other packages.
func Explain(err error) string {
	var d defect
	switch {
	case errors.As(err, &d):
		return "The DPoP proof is not valid: " + string(d) + "."
	case errors.Is(err, ErrMissing):
		return "A DPoP proof is required."
	case errors.Is(err, ErrReplayed):
		return "The DPoP proof was used before."
	case errors.Is(err, ErrNonce):
		return "A DPoP proof with the nonce of the header DPoP-Nonce is required."
	case errors.Is(err, ErrInvalid):
		return "The DPoP proof is not valid."
	}
	return ""
}

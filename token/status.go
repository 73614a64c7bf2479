package token

import (
	"context"
	"strconv"
)

// StatusReference says where the issuer publishes whether a token still holds: the claim "status" with its member
// "status_list" (draft-ietf-oauth-status-list section 6.2). The zero value is that of a token without.
type StatusReference struct {
	URI   string // of the status list; empty when the token names none
	Index uint64 // of the token in the list
}

// StatusAllocator gives tokens their places in status lists.
type StatusAllocator interface {
	// AllocateStatus returns the place of a token that is about to be signed. c is complete but for its Status, and not
	// changed. The place is this token's alone for as long as it lives, and durably so once AllocateStatus returns.
	AllocateStatus(ctx context.Context, c *Claims) (StatusReference, error)
}

// maxIndexBits keeps an index within what every JSON reader holds exactly (RFC 8259 section 6).
const maxIndexBits = 53

type wireStatus struct {
	List *wireReference `json:"status_list"`
}

type wireReference struct {
	Index uint64 `json:"idx"`
	URI   string `json:"uri"`
}

func (r StatusReference) wire() *wireStatus {
	if r == (StatusReference{}) {
		return nil
	}
	return &wireStatus{&wireReference{r.Index, r.URI}}
}

// status reads the claim of that name. Mechanisms other than a status list are somebody else's to know.
func (s *scanner) status(member string) (r StatusReference) {
	if s.peek() != '{' {
		s.fail(member, wrongType)
	}
	var seen names
	s.enter('{')
	for s.next('}') {
		name := s.name()
		if !seen.add(name) {
			s.fail(member, duplicate)
		}
		if name == "status_list" {
			r = s.statusReference(member)
			continue
		}
		s.value()
	}
	return r
}

func (s *scanner) statusReference(member string) (r StatusReference) {
	if s.peek() != '{' {
		s.fail(member, wrongType)
	}
	var seen names
	indexed := false
	s.enter('{')
	for s.next('}') {
		name := s.name()
		if !seen.add(name) {
			s.fail(member, duplicate)
		}
		switch name {
		case "idx":
			r.Index, indexed = s.index(member), true
		case "uri":
			if r.URI = s.bounded(member, maxText); r.URI == "" {
				s.fail(member, empty)
			}
		default:
			s.value()
		}
	}
	if !indexed || r.URI == "" {
		s.fail(member, missing)
	}
	return r
}

// index reads a whole number that is not negative.
func (s *scanner) index(member string) uint64 {
	if c := s.peek(); c < '0' || c > '9' {
		s.fail(member, wrongType)
		return 0
	}
	n, err := strconv.ParseUint(s.number(), 10, maxIndexBits)
	if err != nil {
		s.fail(member, outOfRange)
	}
	return n
}

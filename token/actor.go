package token

// Actor is who acts on behalf of a token's subject, by the name that it has as a subject of its own: a client's ID. Before
// is on whose behalf it does so, if that is not the subject directly; of a chain the first is the present one, and the
// others are there for information only (RFC 8693 section 4.1).
type Actor struct {
	Subject string `json:"sub"`
	Before  *Actor `json:"act,omitempty"`
}

// maxActors bounds a chain of actors.
const maxActors = 8

// Depth is the length of a chain of actors.
func (a *Actor) Depth() (n int) {
	for ; a != nil; a = a.Before {
		n++
	}
	return n
}

// actor reads the claim of that name. Members that we do not write are refused: they could say that somebody else acts.
func (s *scanner) actor(member string, most int) *Actor {
	a := new(Actor)
	if s.peek() != '{' {
		s.fail(member, wrongType)
	}
	if most == 0 {
		s.fail(member, tooLong)
		return nil
	}
	s.enter('{')
	for s.next('}') {
		switch name := s.name(); {
		case name == "sub" && a.Subject == "":
			a.Subject = s.identifier(member)
		case name == "act" && a.Before == nil:
			a.Before = s.actor(member, most-1)
		default:
			s.fail(member, unsupported)
		}
	}
	if a.Subject == "" {
		s.fail(member, missing)
	}
	return a
}

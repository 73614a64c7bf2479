package keys

// RevokedKeys is the revocation set, as far as this process has heard. It is how an emergency that was declared
// elsewhere reaches the leader: whoever puts the kid of a key into the set has the key replaced.
type RevokedKeys interface {
	// Revoked tells whether the set is known to hold the kid. It answers from memory and is asked several times a
	// second. false may mean that the news has not come yet.
	Revoked(kid string) bool
}

// emergency says what the leader does before [Policy.Next]: it takes the keys whose kids are revoked out of service, one
// a write. The one that signs comes last, so that its successor is none of them; without a standby one is made first, as
// no ring is ever written that has no key to sign with. Wait when there is nothing to do.
func (p Policy) emergency(r Ring, revoked func(kid string) bool) Step {
	signing := ""
	for _, k := range r.Keys {
		switch {
		case k.State == Revoked || !revoked(k.ID):
		case k.State == Active:
			signing = k.ID
		default:
			return Step{Action: Revoke, KeyID: k.ID}
		}
	}
	if signing == "" {
		return Step{Action: Wait}
	}
	if _, ok := r.successor(); !ok {
		return Step{Action: Prepare, Algorithm: p.Algorithm}
	}
	return Step{Action: Revoke, KeyID: signing}
}

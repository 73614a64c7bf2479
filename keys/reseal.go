package keys

import "context"

// KEK names the key-encryption key that c seals with; empty when it does not seal.
func (c *Codec) KEK() string {
	seals := c.seals.Load()
	if seals == nil {
		return ""
	}
	return seals.id
}

// SealsUnder names the key-encryption key under which the ring will be after the next write; see [Ring].KEK for where it is now.
func (s *cellStore) SealsUnder() string { return s.codec.KEK() }

// reseal writes a ring that is sealed under another key-encryption key than the leader's first, and is otherwise not to be
// changed. The claim of a leadership does the same; this is for a leader whose keys were exchanged under way.
func (l *leadership) reseal(ctx context.Context, version Version, ring Ring) (written bool, err error) {
	s, ok := l.r.cfg.Store.(interface{ SealsUnder() string })
	if !ok || s.SealsUnder() == ring.KEK {
		return false, nil
	}
	if err := l.write(ctx, version, ring); err != nil {
		return false, err
	}
	l.log.InfoContext(ctx, "key ring sealed under another key-encryption key", "kek", s.SealsUnder(), "before", ring.KEK)
	return true, nil
}

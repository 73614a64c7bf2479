package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A ring that comes back from a backup is older than what the world has seen of it. Keys that were made after the backup
// are gone, and their tokens with them: verifiers refuse what no key fits. Worse is what comes back. A key that was revoked
// after the backup, because somebody had stolen it, would sign and verify again, and no cut-off helps against a thief who
// writes any date into a token. So there are two ways to restore a ring: Abandon, which trusts no key of it, and Unconfirm,
// for where the revocation set was not lost and still names the keys that were revoked.

// Abandon returns the stored form of a ring (see [Codec]) without any key that can be used: each signing key is revoked,
// so that the next leader puts its kid into the revocation set, and the MAC keys are gone. The epoch stays, so that verifiers
// take new keys of it for what they are. It needs no key-encryption key: nothing that is sealed is left.
func Abandon(stored []byte) ([]byte, error) {
	return rewrite(stored, func(d *document) {
		for i := range d.Keys {
			if k := &d.Keys[i]; k.State != Revoked {
				k.State, k.Since, k.Private = Revoked, time.Time{}, nil
			}
		}
		d.MACs = []storedMAC{}
	})
}

// Unconfirm returns the stored form of a ring whose keys are where they were, but have everything before them: how long a
// key has been published, or signed, counts from when a leader next sees it. None signs before verifiers had the time to
// learn of it anew, and none is dropped too early. It needs no key-encryption key.
func Unconfirm(stored []byte) ([]byte, error) {
	return rewrite(stored, func(d *document) {
		for i := range d.Keys {
			if k := &d.Keys[i]; k.State != Revoked {
				k.Since = time.Time{}
			}
		}
		for i := range d.MACs {
			d.MACs[i].Since = time.Time{}
		}
	})
}

func rewrite(stored []byte, change func(*document)) ([]byte, error) {
	d, err := readDocument(stored)
	if err != nil {
		return nil, fmt.Errorf("reading the key ring of a backup: %w", err)
	}
	change(&d)
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("writing the key ring of a backup: %w", err)
	}
	return text, nil
}

// ErrExists refuses to restore a ring where there is one.
var ErrExists = errors.New("there is a key ring")

// Restore puts a ring into a store that has none, and gives it the next term, so that whoever led it before leads it no
// more. Where there is one it changes nothing and returns [ErrExists].
func Restore(ctx context.Context, s Store, r Ring) error {
	cells, ok := s.(*cellStore)
	if !ok {
		return fmt.Errorf("restoring a key ring: %T is not one of NewStore", s)
	}
	switch there, v, err := s.Load(ctx); {
	case err != nil:
		return fmt.Errorf("restoring a key ring: %w", err)
	case v != "":
		return fmt.Errorf("restoring a key ring: %w already, of epoch %q and term %d", ErrExists, there.Epoch, there.Term)
	}
	r.Term, r.Holder = r.Term+1, "nobody: restored from a backup"
	if _, err := cells.swap(ctx, "", r); errors.Is(err, ErrStale) {
		return fmt.Errorf("restoring a key ring: %w now: somebody was faster: %w", ErrExists, err)
	} else if err != nil {
		return fmt.Errorf("restoring a key ring: %w", err)
	}
	return nil
}

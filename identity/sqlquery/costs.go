package sqlquery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

const (
	costsLife = time.Hour // how long a sample of hashes counts
	maxSample = 1000
)

// costs is a sample of the stored hashes, from which unknown names borrow their costs. The zero value is empty.
type costs struct {
	mu     sync.Mutex
	readAt time.Time
	sample []sampled // sorted by point
}

type sampled struct {
	point [sha256.Size]byte // of the hash
	decoy string            // of the same cost
}

// lender returns a hash whose cost an unknown name borrows: that behind the name's own point, so always the same, and
// changing for few names as the sample changes.
func (c *costs) lender(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sample) == 0 {
		return ""
	}
	point := sha256.Sum256([]byte(name))
	i, _ := slices.BinarySearchFunc(c.sample, point, func(s sampled, p [sha256.Size]byte) int { return bytes.Compare(s.point[:], p[:]) })
	return c.sample[i%len(c.sample)].decoy
}

// refreshCosts reads the sample again when it is old. Where that fails the old one stays: the login does not depend on it.
func (s *Source) refreshCosts(ctx context.Context) {
	s.costs.mu.Lock()
	old := s.c.Now().Sub(s.costs.readAt) >= costsLife
	if old {
		s.costs.readAt = s.c.Now() // one login reads
	}
	s.costs.mu.Unlock()
	if !old {
		return
	}
	if err := s.readCosts(ctx); err != nil {
		s.log.WarnContext(ctx, "sample of password hashes not read again", "err", err)
	}
}

// readCosts reads the sample. Hashes that cannot be used are reported, and lend nothing.
func (s *Source) readCosts(ctx context.Context) error {
	bound, cancel := sqldb.Bounded(ctx)
	defer cancel()
	var sample []sampled
	var unusable int
	var reason error
	err := s.transaction(bound, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(bound, s.c.Hashes)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // rows.Err tells
		for len(sample)+unusable < maxSample && rows.Next() {
			var hash sql.NullString
			if err := rows.Scan(&hash); err != nil {
				return err
			}
			if hash.String == "" {
				continue
			}
			if err := identity.CheckHash(hash.String); err != nil {
				unusable, reason = unusable+1, err
				continue
			}
			sample = append(sample, sampled{sha256.Sum256([]byte(hash.String)), s.c.Hasher.Decoy(hash.String)})
		}
		return rows.Err()
	})
	if err != nil {
		return sqldb.Wrap(bound, identity.ErrUnavailable, "reading a sample of hashes", err)
	}
	if unusable > 0 && len(sample) == 0 {
		return fmt.Errorf("hashes: authd can check none of the stored passwords: %w", reason)
	}
	if unusable > 0 {
		s.log.WarnContext(ctx, "some users cannot log in, as authd cannot check their passwords", "of", unusable+len(sample), "users", unusable, "err", reason)
	}
	slices.SortFunc(sample, func(a, b sampled) int { return bytes.Compare(a.point[:], b.point[:]) })
	s.costs.mu.Lock()
	defer s.costs.mu.Unlock()
	s.costs.sample, s.costs.readAt = sample, s.c.Now()
	return nil
}

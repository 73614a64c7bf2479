package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/authd-project/authd/mfa"
)

const deleteCodes = `DELETE FROM factor_recovery_codes WHERE subject = $1`

func countCodes(ctx context.Context, q querier, subject string) (int, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM factor_recovery_codes WHERE subject = $1`, subject)
}

// SetRecoveryCodes implements [mfa.Store].
func (s *Store) SetRecoveryCodes(ctx context.Context, subject string, digests [][]byte, fresh bool) error {
	if !storable(subject) {
		return mfa.ErrNotFound
	}
	return s.change(ctx, "replacing recovery codes", subject, func(ctx context.Context, q querier) error {
		factors, err := countFactors(ctx, q, subject)
		if err != nil {
			return err
		}
		if factors == 0 {
			return mfa.ErrNotFound
		}
		codes, err := countCodes(ctx, q, subject)
		if err != nil {
			return err
		}
		if fresh && codes > 0 {
			return mfa.ErrExists
		}
		if _, err := affected(ctx, q, deleteCodes, subject); err != nil {
			return err
		}
		for _, digest := range digests {
			const insert = `INSERT INTO factor_recovery_codes (subject, digest) VALUES ($1, $2)`
			if _, err := affected(ctx, q, insert, subject, digest); err != nil {
				return err
			}
		}
		return nil
	})
}

// UseRecoveryCode implements [mfa.Store].
func (s *Store) UseRecoveryCode(ctx context.Context, subject string, digest []byte) (left int, err error) {
	if !storable(subject) {
		return 0, mfa.ErrNotFound
	}
	err = s.change(ctx, "using a recovery code", subject, func(ctx context.Context, q querier) error {
		n, err := affected(ctx, q, `DELETE FROM factor_recovery_codes WHERE subject = $1 AND digest = $2`, subject, digest)
		if err != nil {
			return err
		}
		if n == 0 {
			return mfa.ErrNotFound
		}
		left, err = countCodes(ctx, q, subject)
		return err
	})
	return left, err
}

// Spend implements [mfa.Store]. It also forgets what is over.
func (s *Store) Spend(ctx context.Context, name mfa.Name, until time.Time) error {
	return s.do(ctx, "remembering what was used", func(ctx context.Context, q querier) error {
		if _, err := affected(ctx, q, `DELETE FROM factor_spent WHERE until < $1`, s.now().UnixMicro()); err != nil {
			return err
		}
		const insert = `INSERT INTO factor_spent (name, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`
		n, err := affected(ctx, q, insert, name[:], until.UnixMicro())
		if err == nil && n == 0 {
			err = mfa.ErrSpent
		}
		return err
	})
}

// DataKey implements [mfa.Store].
func (s *Store) DataKey(ctx context.Context) (k mfa.DataKey, err error) {
	err = s.do(ctx, "reading the key of the factors", func(ctx context.Context, q querier) error {
		err := q.QueryRowContext(ctx, `SELECT master_id, sealed FROM factor_keys`).Scan(&k.MasterID, &k.Sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return mfa.ErrNotFound
		}
		return err
	})
	return k, err
}

// SwapDataKey implements [mfa.Store].
func (s *Store) SwapDataKey(ctx context.Context, old, key mfa.DataKey) error {
	return s.do(ctx, "storing the key of the factors", func(ctx context.Context, q querier) error {
		const insert = `INSERT INTO factor_keys (one, master_id, sealed) VALUES (1, $1, $2) ON CONFLICT DO NOTHING`
		const replace = `UPDATE factor_keys SET master_id = $1, sealed = $2 WHERE master_id = $3 AND sealed = $4`
		var n int
		var err error
		if old.Sealed == nil {
			n, err = affected(ctx, q, insert, key.MasterID, key.Sealed)
		} else {
			n, err = affected(ctx, q, replace, key.MasterID, key.Sealed, old.MasterID, old.Sealed)
		}
		if err == nil && n == 0 {
			err = mfa.ErrConflict
		}
		return err
	})
}

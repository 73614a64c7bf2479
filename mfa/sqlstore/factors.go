package sqlstore

import (
	"context"
	"time"

	"github.com/authd-project/authd/mfa"
)

// columns are those of a record, in the order of scan.
const columns = `id, subject, kind, name, credential, sealed, counter, created_at, used_at`

// read returns the records that a statement selects.
func read(ctx context.Context, q querier, query string, args ...any) (records []mfa.Record, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	for rows.Next() {
		var r mfa.Record
		var created, used int64
		err := rows.Scan(&r.ID, &r.Subject, &r.Kind, &r.Name, &r.Credential, &r.Sealed, &r.Counter, &created, &used)
		if err != nil {
			return nil, err
		}
		r.CreatedAt, r.UsedAt = fromMicros(created), fromMicros(used)
		records = append(records, r)
	}
	return records, rows.Err()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Factors implements [mfa.Store].
func (s *Store) Factors(ctx context.Context, subject string) (records []mfa.Record, codes int, err error) {
	if !storable(subject) {
		return nil, 0, nil
	}
	err = s.do(ctx, "reading factors", func(ctx context.Context, q querier) error {
		records, err = read(ctx, q, `SELECT `+columns+` FROM factors WHERE subject = $1 ORDER BY created_at, id`, subject)
		return err
	})
	if err != nil || len(records) == 0 {
		return nil, 0, err
	}
	err = s.do(ctx, "counting recovery codes", func(ctx context.Context, q querier) error {
		codes, err = countCodes(ctx, q, subject)
		return err
	})
	return records, codes, err
}

// Credential implements [mfa.Store].
func (s *Store) Credential(ctx context.Context, id []byte) (found mfa.Record, err error) {
	err = s.do(ctx, "reading a passkey", func(ctx context.Context, q querier) error {
		records, err := read(ctx, q, `SELECT `+columns+` FROM factors WHERE credential = $1`, id)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return mfa.ErrNotFound
		}
		found = records[0]
		return nil
	})
	return found, err
}

// Add implements [mfa.Store].
func (s *Store) Add(ctx context.Context, r mfa.Record, most int) error {
	return s.change(ctx, "adding a factor", r.Subject, func(ctx context.Context, q querier) error {
		has, err := countFactors(ctx, q, r.Subject)
		if err != nil {
			return err
		}
		if has >= most {
			return mfa.ErrTooMany
		}
		const insert = `INSERT INTO factors (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT DO NOTHING`
		n, err := affected(ctx, q, insert, r.ID, r.Subject, string(r.Kind), r.Name, r.Credential, r.Sealed, r.Counter,
			r.CreatedAt.UnixMicro())
		if err == nil && n == 0 {
			err = mfa.ErrExists
		}
		return err
	})
}

func countFactors(ctx context.Context, q querier, subject string) (int, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM factors WHERE subject = $1`, subject)
}

// Rename implements [mfa.Store].
func (s *Store) Rename(ctx context.Context, subject, id, name string) error {
	if !storable(subject, id) {
		return mfa.ErrNotFound
	}
	return s.do(ctx, "renaming a factor", func(ctx context.Context, q querier) error {
		n, err := affected(ctx, q, `UPDATE factors SET name = $3 WHERE subject = $1 AND id = $2`, subject, id, name)
		if err == nil && n == 0 {
			err = mfa.ErrNotFound
		}
		return err
	})
}

// Remove implements [mfa.Store].
func (s *Store) Remove(ctx context.Context, subject, id string, keep bool) error {
	if !storable(subject, id) {
		return mfa.ErrNotFound
	}
	return s.change(ctx, "removing a factor", subject, func(ctx context.Context, q querier) error {
		n, err := affected(ctx, q, `DELETE FROM factors WHERE subject = $1 AND id = $2`, subject, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return mfa.ErrNotFound
		}
		left, err := countFactors(ctx, q, subject)
		switch {
		case err != nil || left > 0:
			return err
		case keep:
			return mfa.ErrConflict // which rolls back
		}
		_, err = affected(ctx, q, deleteCodes, subject)
		return err
	})
}

// Clear implements [mfa.Store].
func (s *Store) Clear(ctx context.Context, subject string) (n int, err error) {
	if !storable(subject) {
		return 0, nil
	}
	err = s.change(ctx, "removing all factors", subject, func(ctx context.Context, q querier) error {
		if n, err = affected(ctx, q, `DELETE FROM factors WHERE subject = $1`, subject); err != nil {
			return err
		}
		_, err = affected(ctx, q, deleteCodes, subject)
		return err
	})
	return n, err
}

// Use implements [mfa.Store].
func (s *Store) Use(ctx context.Context, subject, id string, counter int64, at time.Time) error {
	return s.do(ctx, "using a factor", func(ctx context.Context, q querier) error {
		const advance = `UPDATE factors SET counter = $3, used_at = $4
			WHERE subject = $1 AND id = $2 AND (counter < $3 OR counter = 0 AND $3 = 0)`
		n, err := affected(ctx, q, advance, subject, id, counter, at.UnixMicro())
		if err != nil || n > 0 {
			return err
		}
		there, err := count(ctx, q, `SELECT COUNT(*) FROM factors WHERE subject = $1 AND id = $2`, subject, id)
		switch {
		case err != nil:
			return err
		case there == 0:
			return mfa.ErrNotFound
		}
		return mfa.ErrSpent
	})
}

package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

var _ identity.Notes = (*Store)(nil)

// changeAndNote runs a statement that changes one account and returns it, and in the same transaction notes that the
// account's sessions are to be ended.
func (s *Store) changeAndNote(ctx context.Context, doing string, now time.Time, query string, args ...any) (identity.Account, error) {
	note, err := s.newID()
	if err != nil {
		return identity.Account{}, err
	}
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return identity.Account{}, unavailable(ctx, doing, err)
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after a commit, and otherwise an error is being returned
	changed, err := read(ctx, tx, query, args...)
	if err != nil {
		return identity.Account{}, unavailable(ctx, doing, err)
	}
	if len(changed) == 0 {
		return identity.Account{}, identity.ErrNotFound
	}
	if err := insertNote(ctx, tx, note, changed[0].subject, now); err != nil {
		return identity.Account{}, unavailable(ctx, doing, err)
	}
	if err := tx.Commit(); err != nil {
		return identity.Account{}, unavailable(ctx, doing, err)
	}
	return changed[0].account(), nil
}

func insertNote(ctx context.Context, tx *sql.Tx, id, subject string, now time.Time) error {
	const query = `INSERT INTO pending_ends (id, subject, changed_at) VALUES ($1, $2, $3)`
	_, err := tx.ExecContext(ctx, query, id, subject, now.UnixMicro())
	return err
}

// PendingEnds implements [identity.Notes].
func (s *Store) PendingEnds(ctx context.Context, subject string, limit int) ([]identity.PendingEnd, error) {
	if !storable(subject) {
		return nil, nil // nobody has it
	}
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	notes, err := s.readNotes(ctx, subject, limit)
	if err != nil {
		return nil, unavailable(ctx, "reading which sessions are to be ended", err)
	}
	return notes, nil
}

func (s *Store) readNotes(ctx context.Context, subject string, limit int) (notes []identity.PendingEnd, err error) {
	const columns = `SELECT id, subject, changed_at FROM pending_ends`
	const order = ` ORDER BY changed_at, id LIMIT $1`
	query, args := columns+order, []any{limit}
	if subject != "" {
		query, args = columns+` WHERE subject = $2`+order, append(args, subject)
	}
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	for rows.Next() {
		var n identity.PendingEnd
		var changedAt int64
		if err := rows.Scan(&n.ID, &n.Subject, &changedAt); err != nil {
			return nil, err
		}
		n.ChangedAt = fromMicros(changedAt)
		notes = append(notes, n)
	}
	return notes, rows.Err()
}

// EndsDone implements [identity.Notes].
func (s *Store) EndsDone(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if err := s.endDone(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) endDone(ctx context.Context, id string) error {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pending_ends WHERE id = $1`, id); err != nil {
		return unavailable(ctx, "noting that sessions have ended", err)
	}
	return nil
}

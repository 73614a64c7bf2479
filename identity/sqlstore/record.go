package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

// columns are those of a record, in the order of record.fields.
const columns = `subject, username, password_hash, disabled, roles, created_at, updated_at, password_changed_at`

// record is a row of the table users.
type record struct {
	subject, username, passwordHash         string
	disabled                                bool
	roles                                   string // separated by spaces
	createdAt, updatedAt, passwordChangedAt int64  // µs since 1970, 0 for never
}

// fields are where a row is scanned into, in the order of columns.
func (r *record) fields() []any {
	return []any{
		&r.subject, &r.username, &r.passwordHash, &r.disabled, &r.roles,
		&r.createdAt, &r.updatedAt, &r.passwordChangedAt,
	}
}

func (r *record) account() identity.Account {
	account := identity.Account{
		Subject: r.subject, Username: r.username, Disabled: r.disabled, PasswordChangedAt: fromMicros(r.passwordChangedAt),
	}
	if r.roles != "" {
		account.Roles = strings.Split(r.roles, " ")
	}
	return account
}

func (r *record) user() identity.User {
	return identity.User{
		Account:     r.account(),
		HasPassword: r.passwordHash != "",
		CreatedAt:   fromMicros(r.createdAt),
		UpdatedAt:   fromMicros(r.updatedAt),
	}
}

// storable reports whether a text can be in the database at all. PostgreSQL fails where it is asked about another.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// query runs a statement whose rows are records.
func (s *Store) query(ctx context.Context, doing, query string, args ...any) ([]record, error) {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	records, err := read(ctx, s.db, query, args...)
	if err != nil {
		return nil, unavailable(ctx, doing, err)
	}
	return records, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read reads the rows to the end: only then has a changing statement run, and outside of a transaction been committed,
// and has the database said so.
func read(ctx context.Context, db querier, query string, args ...any) (records []record, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	for rows.Next() {
		var r record
		if err := rows.Scan(r.fields()...); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// one is query for a statement that touches one account; ErrNotFound when there is none.
func (s *Store) one(ctx context.Context, doing, query string, args ...any) (record, error) {
	records, err := s.query(ctx, doing, query, args...)
	if err != nil {
		return record{}, err
	}
	if len(records) == 0 {
		return record{}, identity.ErrNotFound
	}
	return records[0], nil
}

package sqlquery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

// row is an account as a query gives it.
type row struct {
	subject, username, hash string
	disabled                bool
	roles                   string
	changed                 time.Time // zero: not known
}

// account makes an account of a row.
func (r row) account() (identity.Account, error) {
	a, err := identity.Adopt(identity.Account{
		Subject: r.subject, Username: r.username, Disabled: r.disabled, PasswordChangedAt: r.changed,
		Roles: strings.FieldsFunc(r.roles, func(c rune) bool { return c == ' ' || c == ',' }),
	})
	if err != nil {
		// Not what the caller did wrong, whatever kind of error it is.
		return identity.Account{}, fmt.Errorf("%w: the row of subject %q cannot be an account: %s", identity.ErrUnavailable, r.subject, err.Error())
	}
	return a, nil
}

// one returns the row that a query gives; an empty one if there is none. If there are several nobody can say who is meant:
// it is the first, disabled.
func (s *Source) one(ctx context.Context, query, arg string) (row, error) {
	rows, err := s.query(ctx, query, arg)
	switch {
	case err != nil:
		return row{}, err
	case len(rows) == 0:
		return row{}, nil
	case len(rows) > 1:
		s.log.ErrorContext(ctx, "several rows go by one name or subject, none of them can log in",
			"subject", rows[0].subject, "other", rows[1].subject)
		rows[0].disabled = true
	}
	return rows[0], nil
}

// query returns the rows of a query. A parameter that cannot be a value of the column finds none.
func (s *Source) query(ctx context.Context, query string, args ...any) ([]row, error) {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	rows, err := s.read(ctx, query, args...)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && strings.HasPrefix(refused.Code, "22") { // data exception, as text for a number
		return nil, nil
	}
	if err != nil {
		return nil, sqldb.Wrap(ctx, identity.ErrUnavailable, "reading an account", err)
	}
	return rows, nil
}

func (s *Source) read(ctx context.Context, query string, args ...any) (list []row, err error) {
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // rows.Err tells
		names, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			var r row
			if err := r.scan(rows, names); err != nil {
				return err
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	return list, err
}

// transaction runs f in one that can only read.
func (s *Source) transaction(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // there is nothing to undo
	return f(tx)
}

// scan reads the columns by their names; those that mean nothing here were refused at the start.
func (r *row) scan(rows *sql.Rows, names []string) error {
	var subject, username, hash, roles sql.NullString
	var disabled sql.NullBool
	var changed, other any
	into := map[string]any{
		"subject": &subject, "username": &username, "password_hash": &hash, "disabled": &disabled, "roles": &roles,
		"password_changed_at": &changed,
	}
	fields := make([]any, len(names))
	for i, name := range names {
		if fields[i] = into[strings.ToLower(name)]; fields[i] == nil {
			fields[i] = &other
		}
	}
	if err := rows.Scan(fields...); err != nil {
		return err
	}
	*r = row{subject: subject.String, username: username.String, hash: hash.String, disabled: disabled.Bool, roles: roles.String}
	var err error
	r.changed, err = timeOf(changed)
	return err
}

// timeOf reads a time in one of the forms that databases have.
func timeOf(value any) (time.Time, error) {
	switch v := value.(type) {
	case nil:
		return time.Time{}, nil
	case time.Time:
		return v.UTC(), nil
	case int64:
		return time.Unix(v, 0).UTC(), nil
	case float64:
		return time.UnixMicro(int64(v * 1e6)).UTC(), nil
	case []byte:
		return timeOf(string(v))
	case string:
		for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02 15:04:05.999999999-07:00"} {
			if t, err := time.Parse(layout, v); err == nil {
				return t.UTC(), nil
			}
		}
		if seconds, err := strconv.ParseFloat(v, 64); err == nil {
			return timeOf(seconds)
		}
	}
	return time.Time{}, fmt.Errorf("password_changed_at: %T is neither a timestamp nor a number of seconds", value)
}

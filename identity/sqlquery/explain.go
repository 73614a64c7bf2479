package sqlquery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

// optional are the columns that an account may have.
var optional = [...]string{"password_hash", "disabled", "roles", "password_changed_at"}

// explained is what the database says of a query.
type explained struct {
	columns    []string
	arrays     []string // those of the columns that are arrays
	parameters int      // -1: it does not say
}

// explain asks the database about each query, and reports every one that does not give what it must.
func (s *Source) explain(ctx context.Context) error {
	var problems []error
	check := func(key, query string, parameters int, required ...string) explained {
		e, err := s.describe(ctx, query, parameters)
		if err == nil {
			err = e.lacks(parameters, required)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
		return e
	}
	login := check("login", s.c.Login, 1, "subject", "username", "password_hash")
	account := check("account", s.c.Account, 1, "subject", "username")
	check("hashes", s.c.Hashes, 0, "password_hash")
	others := map[string]explained{"account": account}
	if s.c.List != "" {
		others["list"] = check("list", s.c.List, 2, "subject", "username")
	}
	for key, e := range others {
		for _, name := range optional[1:] { // who is disabled at a login must be at a refresh
			if len(e.columns) > 0 && slices.Contains(login.columns, name) && !slices.Contains(e.columns, name) {
				problems = append(problems, fmt.Errorf("%s: no column %s, which login has", key, name))
			}
		}
	}
	return errors.Join(problems...)
}

// lacks says what a query should have and has not.
func (e explained) lacks(parameters int, required []string) error {
	var problems []error
	for _, name := range required {
		if !slices.Contains(e.columns, name) {
			problems = append(problems, fmt.Errorf("no column %s; name one by AS %s", name, name))
		}
	}
	known := append(slices.Clone(optional[:]), "subject", "username")
	for i, name := range e.columns {
		if !slices.Contains(known, name) {
			problems = append(problems, fmt.Errorf("column %s means nothing here; want %s", name, strings.Join(known, ", ")))
		}
		if slices.Contains(e.columns[:i], name) {
			problems = append(problems, fmt.Errorf("two columns %s", name))
		}
	}
	for _, name := range e.arrays {
		problems = append(problems, fmt.Errorf("column %s is an array; want array_to_string(…, ' ')", name))
	}
	if e.parameters >= 0 && e.parameters != parameters {
		problems = append(problems, fmt.Errorf("it has %d parameters, want %d", e.parameters, parameters))
	}
	return errors.Join(problems...)
}

// describe asks the database what a query gives, without rows where it can tell.
func (s *Source) describe(ctx context.Context, query string, parameters int) (e explained, err error) {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	if strings.HasPrefix(s.c.Database, "sqlite:") {
		e, err = s.describeByRunning(ctx, query, parameters)
	} else {
		e, err = s.describeByPostgres(ctx, query)
	}
	for i, name := range e.columns {
		e.columns[i] = strings.ToLower(name)
	}
	return e, err
}

func (s *Source) describeByPostgres(ctx context.Context, query string) (e explained, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return e, sqldb.Wrap(ctx, identity.ErrUnavailable, "reaching the database", err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	err = conn.Raw(func(driver any) error {
		description, err := driver.(*stdlib.Conn).Conn().Prepare(ctx, "", query)
		if err != nil {
			return err
		}
		e.parameters = len(description.ParamOIDs)
		for _, f := range description.Fields {
			e.columns = append(e.columns, f.Name)
			if slices.Contains([]uint32{pgtype.TextArrayOID, pgtype.VarcharArrayOID, pgtype.NameArrayOID}, f.DataTypeOID) {
				e.arrays = append(e.arrays, f.Name)
			}
		}
		return nil
	})
	return e, err
}

// describeByRunning is for SQLite, which says what a query gives only when it runs.
func (s *Source) describeByRunning(ctx context.Context, query string, parameters int) (e explained, err error) {
	args := []any{"authd", 1}[:parameters]
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // rows.Err tells
		e.parameters = -1
		e.columns, err = rows.Columns()
		return errors.Join(err, rows.Err())
	})
	return e, err
}

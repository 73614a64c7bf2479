// Package sqldb opens the SQL databases that authd's stores are kept in, a SQLite file or PostgreSQL, and brings their
// schemas up to date. What it opens is a plain *sql.DB that takes PostgreSQL's numbered parameters in either:
//
//	db, err := sqldb.OpenSQLite(ctx, path, sqldb.Schema{What: "factor database", Table: "factor_migrations", Files: files})
//	ctx, cancel := sqldb.Bounded(ctx)
//	defer cancel()
//	_, err = db.ExecContext(ctx, `DELETE FROM factors WHERE subject = $1`, subject)
//
// Several schemas may be in one PostgreSQL database, each with a table of migrations of its own.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/authd-project/authd/internal/schema"
)

// Schema is what a store expects in its database.
type Schema struct {
	What  string // the database in errors, as "factor database"
	Table string // of the migrations that have been made; fixed for ever
	// Files has the steps as migrations/NNNN_name.sql, from 0001 without gaps, or NNNN_name.DIALECT.sql where only one of the
	// databases, sqlite or postgres, needs it. Once released, a file never changes.
	Files fs.FS
	// Needs is how many of the steps a program must know to go on working beside this one: those that the release before
	// has. Default: all of them.
	Needs int
	// Release is the program's, for those that find the database too new.
	Release string
	// Unavailable is what failures of the database wrap: that it does not answer, or refuses the connection.
	Unavailable error
	Now         func() time.Time // of the times in the table; default time.Now
}

// ErrNewerSchema means that the database was brought up to date by an authd that this one cannot work beside; it leaves the
// database alone.
var ErrNewerSchema = schema.ErrNewer

// AnswerTimeout is how long the database may take for one statement or transaction, the connection included. It is longer
// than SQLite waits for a lock, which SQLite reports better.
const AnswerTimeout = 6 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v", AnswerTimeout)

// Bounded returns a context for one statement or transaction.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, AnswerTimeout, errNoAnswer)
}

// Wrap wraps a failure of the database by kind. ctx is the statement's, of Bounded. The error wraps the caller's context's
// where that was the cause; a driver reports an interrupted statement in its own words.
func Wrap(ctx context.Context, kind error, doing string, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errNoAnswer):
		err = errNoAnswer // and not DeadlineExceeded: the caller's time is not up
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New(err.Error()) // of a driver's own context, for the same reason
	}
	return fmt.Errorf("%s: %w: %w", doing, kind, err)
}

// Ping reports whether the database answers.
func Ping(ctx context.Context, db *sql.DB, s Schema) error {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return Wrap(ctx, s.Unavailable, "reaching the "+s.What, err)
	}
	return nil
}

func (s Schema) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

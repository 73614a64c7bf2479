package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/authd-project/authd/identity"
)

// Users returns the source of users with a span for each question about one. If it is a [identity.Directory], so is what is
// returned. kind says what it is, sqlite or ldap.
func (t *Tracer) Users(kind string, r identity.Reader) identity.Reader {
	u := users{t, r, attribute.String(Source, kind)}
	if d, ok := r.(identity.Directory); ok {
		return directory{d, u}
	}
	return reader{r, u}
}

type users struct {
	t      *Tracer
	source identity.Reader
	kind   attribute.KeyValue
}

func (u users) authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	ctx, span := u.t.child(ctx, spanAuthenticate, u.kind)
	account, err := u.source.Authenticate(ctx, username, password)
	end(span, err)
	return account, err
}

func (u users) account(ctx context.Context, subject string) (identity.Account, error) {
	ctx, span := u.t.child(ctx, spanAccount, u.kind)
	account, err := u.source.Account(ctx, subject)
	end(span, err)
	return account, err
}

func (u users) get(ctx context.Context, username string) (identity.User, error) {
	ctx, span := u.t.child(ctx, spanUser, u.kind)
	user, err := u.source.Get(ctx, username)
	end(span, err)
	return user, err
}

// reader is a source that is only read.
type reader struct {
	identity.Reader
	u users
}

// Authenticate implements [identity.Reader].
func (r reader) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	return r.u.authenticate(ctx, username, password)
}

// Account implements [identity.Reader].
func (r reader) Account(ctx context.Context, subject string) (identity.Account, error) {
	return r.u.account(ctx, subject)
}

// Get implements [identity.Reader].
func (r reader) Get(ctx context.Context, username string) (identity.User, error) {
	return r.u.get(ctx, username)
}

// directory is a source that can be changed. Changes are not looked into.
type directory struct {
	identity.Directory
	u users
}

// Authenticate implements [identity.Directory].
func (d directory) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	return d.u.authenticate(ctx, username, password)
}

// Account implements [identity.Directory].
func (d directory) Account(ctx context.Context, subject string) (identity.Account, error) {
	return d.u.account(ctx, subject)
}

// Get implements [identity.Directory].
func (d directory) Get(ctx context.Context, username string) (identity.User, error) {
	return d.u.get(ctx, username)
}

// Hashed tells of a password hash, and apart from it of the time that was waited for it; see [identity.HasherConfig].
func (t *Tracer) Hashed(ctx context.Context, e identity.HashEvent) {
	ended := time.Now()
	begun := ended.Add(-e.Took)
	t.past(ctx, spanHashWait, begun.Add(-e.Waited), begun)
	t.past(ctx, spanHash, begun, ended, attribute.String(Scheme, e.Scheme))
}

package backchannel

import (
	"context"
	"time"

	"github.com/authd-project/authd/session"
)

// Notice is what a client is to be told: this session of yours ends.
type Notice struct {
	Session  session.ID
	Subject  string
	ClientID string
	Noted    time.Time // when its end began
}

// Outbox keeps notices, one for a session, until they are delivered or given up. Methods may be called concurrently.
type Outbox interface {
	// Put returns nil once the notices are durable. It replaces those of the same sessions.
	Put(ctx context.Context, notices ...Notice) error
	// Delete forgets the notice of a session. It succeeds also when there is none.
	Delete(ctx context.Context, id session.ID) error
	// All returns what is kept.
	All(ctx context.Context) ([]Notice, error)
}

// Tokens makes logout tokens.
type Tokens interface {
	// LogoutToken returns a signed token that tells the client of the end of a session (section 2.4). An error means that
	// no key is at hand just now.
	LogoutToken(ctx context.Context, clientID, subject, sessionID string) (string, error)
}

// Clients knows where clients want to hear of logouts. Methods may be called concurrently, and may answer otherwise from
// one call to the next.
type Clients interface {
	// LogoutURI returns the client's backchannel_logout_uri, of the form that oauth.Client.Validate wants; empty for a
	// client that has none or is unknown.
	LogoutURI(clientID string) string
	// AnyLogoutURI tells whether there is any client with such a URI. Without one no session is looked up.
	AnyLogoutURI() bool
}

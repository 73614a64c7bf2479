package adminclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// Users lists at most limit accounts in the order of their names, beginning behind the name after.
func (c *Client) Users(ctx context.Context, after string, limit int) (adminapi.UserList, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	var list adminapi.UserList
	err := c.call(ctx, http.MethodGet, query, nil, &list, "admin", "users")
	return list, err
}

// User returns one account.
func (c *Client) User(ctx context.Context, username string) (adminapi.User, error) {
	var u adminapi.User
	err := c.call(ctx, http.MethodGet, nil, nil, &u, "admin", "users", username)
	return u, err
}

// AddUser makes an account.
func (c *Client) AddUser(ctx context.Context, n adminapi.NewUser) (adminapi.User, error) {
	var u adminapi.User
	err := c.call(ctx, http.MethodPost, nil, n, &u, "admin", "users")
	return u, err
}

// SetPassword sets a password and ends the account's sessions.
func (c *Client) SetPassword(ctx context.Context, username, password string) error {
	return c.call(ctx, http.MethodPut, nil, adminapi.Password{Password: password}, nil, "admin", "users", username, "password")
}

// SetRoles replaces the roles.
func (c *Client) SetRoles(ctx context.Context, username string, roles ...string) error {
	if roles == nil {
		roles = []string{}
	}
	return c.call(ctx, http.MethodPut, nil, adminapi.Roles{Roles: roles}, nil, "admin", "users", username, "roles")
}

// DisableUser forbids an account to log in and ends its sessions.
func (c *Client) DisableUser(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodPost, nil, nil, nil, "admin", "users", username, "disable")
}

// EnableUser allows an account to log in again.
func (c *Client) EnableUser(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodPost, nil, nil, nil, "admin", "users", username, "enable")
}

// ForgiveUser forgets an account's failed logins.
func (c *Client) ForgiveUser(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodPost, nil, nil, nil, "admin", "users", username, "forgive")
}

// RemoveUser removes an account and ends its sessions.
func (c *Client) RemoveUser(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, nil, "admin", "users", username)
}

// Sessions lists a user's live sessions, the most recently used first.
func (c *Client) Sessions(ctx context.Context, username string) ([]adminapi.Session, error) {
	return c.sessions(ctx, url.Values{"username": {username}})
}

// SessionsOfSubject does the same by subject, for accounts that are gone.
func (c *Client) SessionsOfSubject(ctx context.Context, subject string) ([]adminapi.Session, error) {
	return c.sessions(ctx, url.Values{"sub": {subject}})
}

func (c *Client) sessions(ctx context.Context, query url.Values) ([]adminapi.Session, error) {
	var list adminapi.SessionList
	err := c.call(ctx, http.MethodGet, query, nil, &list, "admin", "sessions")
	return list.Sessions, err
}

// EndSession ends a session; an unknown or ended one succeeds.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, nil, "admin", "sessions", id)
}

// EndUserSessions ends all sessions of an account.
func (c *Client) EndUserSessions(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, nil, "admin", "users", username, "sessions")
}

// Revoke revokes on any axis; see [adminapi.Revocation].
func (c *Client) Revoke(ctx context.Context, kind, id string) error {
	return c.call(ctx, http.MethodPost, nil, adminapi.Revocation{Kind: kind, ID: id}, nil, "admin", "revocations")
}

// Revocations tells how current the server's revocation set is, and how large.
func (c *Client) Revocations(ctx context.Context) (adminapi.RevocationStatus, error) {
	var s adminapi.RevocationStatus
	err := c.call(ctx, http.MethodGet, nil, nil, &s, "admin", "revocations")
	return s, err
}

// Keys lists the signing keys.
func (c *Client) Keys(ctx context.Context) (adminapi.KeyList, error) {
	var list adminapi.KeyList
	err := c.call(ctx, http.MethodGet, nil, nil, &list, "admin", "keys")
	return list, err
}

// Reload has the server read its settings again, and returns the names of those that had changed.
func (c *Client) Reload(ctx context.Context) (changed []string, err error) {
	var r adminapi.Reloaded
	err = c.call(ctx, http.MethodPost, nil, nil, &r, "admin", "reload")
	return r.Changed, err
}

// RotateKeys lets the standby sign from now on and returns its kid.
func (c *Client) RotateKeys(ctx context.Context) (kid string, err error) {
	var r adminapi.Rotated
	err = c.call(ctx, http.MethodPost, nil, nil, &r, "admin", "keys", "rotate")
	return r.ID, err
}

// RevokeKey takes a key out of service in an emergency.
func (c *Client) RevokeKey(ctx context.Context, kid string) (adminapi.KeyRevoked, error) {
	return c.revokeKey(ctx, kid, false)
}

// KeyBlastRadius tells what RevokeKey would do, and changes nothing.
func (c *Client) KeyBlastRadius(ctx context.Context, kid string) (adminapi.KeyRevoked, error) {
	return c.revokeKey(ctx, kid, true)
}

func (c *Client) revokeKey(ctx context.Context, kid string, dryRun bool) (adminapi.KeyRevoked, error) {
	var r adminapi.KeyRevoked
	err := c.call(ctx, http.MethodPost, nil, adminapi.KeyRevocation{DryRun: dryRun}, &r, "admin", "keys", kid, "revoke")
	return r, err
}

// Explain tells what the server makes of an access token, check by check. A token that is refused is no error.
func (c *Client) Explain(ctx context.Context, token string) (adminapi.Explanation, error) {
	var e adminapi.Explanation
	err := c.call(ctx, http.MethodPost, nil, adminapi.Question{Token: token}, &e, "admin", "explain")
	return e, err
}

// Leader returns the name of the leader; empty when nobody leads.
func (c *Client) Leader(ctx context.Context) (string, error) {
	var l adminapi.Leader
	err := c.call(ctx, http.MethodGet, nil, nil, &l, "leader")
	return l.Name, err
}

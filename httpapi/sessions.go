package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

// meBody is what a token says of its owner.
type meBody struct {
	Subject   string   `json:"sub"`
	Username  string   `json:"username,omitempty"`
	SessionID string   `json:"sid"`
	Scope     string   `json:"scope"`
	Roles     []string `json:"roles"`
	ClientID  string   `json:"client_id"`
	AuthTime  int64    `json:"auth_time"` // Unix seconds
	ExpiresAt int64    `json:"exp"`       // Unix seconds
}

func (p *public) me(x *exchange) error {
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	body := meBody{
		Subject: claims.Subject, SessionID: claims.SessionID, Scope: claims.Scope, Roles: claims.Roles,
		ClientID: claims.ClientID, AuthTime: claims.AuthTime.Unix(), ExpiresAt: claims.ExpiresAt.Unix(),
	}
	if body.Roles == nil {
		body.Roles = []string{}
	}
	if p.cfg.Accounts != nil {
		account, err := p.cfg.Accounts.Account(x.ctx(), claims.Subject)
		if err != nil && !errors.Is(err, identity.ErrNotFound) {
			return fmt.Errorf("looking up the account: %w", err)
		}
		body.Username = account.Username
	}
	return x.JSON(http.StatusOK, body)
}

// sessionBody is one session in its owner's list.
type sessionBody struct {
	ID         string    `json:"id"`
	Current    bool      `json:"current"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	Address    string    `json:"address"`
	UserAgent  string    `json:"user_agent"`
	ClientID   string    `json:"client_id"`
}

func (p *public) listSessions(x *exchange) error {
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	live, err := p.cfg.Sessions.List(x.ctx(), claims.Subject)
	if err != nil {
		return err
	}
	list := make([]sessionBody, len(live))
	for i, s := range live {
		list[i] = sessionBody{
			ID: s.ID.String(), Current: s.ID.String() == claims.SessionID,
			CreatedAt: s.CreatedAt.UTC(), LastUsedAt: s.LastUsedAt.UTC(),
			Address: s.Address, UserAgent: s.UserAgent, ClientID: s.ClientID,
		}
	}
	return x.JSON(http.StatusOK, map[string]any{"sessions": list})
}

func (p *public) endSession(x *exchange) error {
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	id, err := session.ParseID(x.Param("id"))
	if err != nil { // no session has such an id
		return fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	if err := p.cfg.Sessions.End(x.ctx(), claims.Subject, id); err != nil {
		return err
	}
	return x.done()
}

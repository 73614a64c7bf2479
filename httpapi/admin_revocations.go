package httpapi

import (
	"net/http"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

// byUsername is a kind of its own, for people: the subject is looked up.
const byUsername = "username"

// maxID bounds identifiers in revocations, in bytes.
const maxID = 512

func (a *admin) revocationStatus(x *exchange) error {
	s := a.cfg.Mirror.Status()
	body := adminapi.RevocationStatus{
		Fresh: s.Fresh, Epoch: s.Position.Epoch, Seq: s.Position.Seq, Entries: make(map[string]int, len(s.Entries)),
	}
	if !s.AsOf.IsZero() {
		asOf := s.AsOf.UTC()
		body.AsOf = &asOf
	}
	for kind, n := range s.Entries {
		body.Entries[kind.String()] = n
	}
	return x.JSON(http.StatusOK, body)
}

// revoke revokes on one axis. Sessions end with what names them; a key takes the emergency path of [admin.revokeKey],
// which replaces it first.
func (a *admin) revoke(x *exchange) error {
	var r adminapi.Revocation
	err := readObject(x,
		field{Name: "kind", Into: &r.Kind, Required: true},
		field{Name: "id", Into: &r.ID, Max: maxID},
	)
	if err != nil {
		return err
	}
	kind, err := revocation.ParseKind(r.Kind)
	switch {
	case err != nil && r.Kind != byUsername:
		return badFields(fieldError{Field: "kind", Detail: "must be jti, sid, sub, username, client_id, kid or all"})
	case (r.ID == "") != (kind == revocation.Everything):
		return badFields(fieldError{Field: "id", Detail: "is required, except for all, which takes none"})
	case (kind == revocation.Token || kind == revocation.Session) && revocation.IDOf(kind, r.ID) == (revocation.ID{}):
		return badFields(fieldError{Field: "id", Detail: "is nobody's: it is all zeros"})
	}
	if err := a.revokeBy(x, r, kind); err != nil {
		return err
	}
	return x.done()
}

func (a *admin) revokeBy(x *exchange, r adminapi.Revocation, kind revocation.Kind) error {
	ctx := x.ctx()
	switch kind {
	case revocation.Token:
		return a.revokeToken(x, r.ID)
	case revocation.Session:
		id, err := session.ParseID(r.ID)
		if err != nil {
			return badFields(fieldError{Field: "id", Detail: "is not a session's id"})
		}
		x.session = r.ID
		return a.cfg.Sessions.EndSessions(ctx, id)
	case revocation.Subject:
		x.subject = r.ID
		x.happens(audit.SubjectRevoked)
		return a.cfg.Sessions.EndSubject(ctx, r.ID)
	case revocation.Client:
		x.happens(audit.ClientRevoked)
		x.note("client_id", r.ID)
		return a.cfg.Sessions.EndClient(ctx, r.ID)
	case revocation.Everything:
		x.happens(audit.EverythingRevoked)
		return a.cfg.Sessions.EndEverything(ctx)
	case revocation.Key:
		x.happens(audit.KeyRevoked)
		x.note("kid", r.ID)
		_, err := a.cfg.Keys.Revoke(ctx, r.ID)
		return err
	default: // by username
		user, err := a.cfg.Users.Get(ctx, r.ID)
		if err != nil {
			return err
		}
		x.subject = user.Subject
		x.happens(audit.SubjectRevoked)
		return a.cfg.Sessions.EndSubject(ctx, user.Subject)
	}
}

func (a *admin) revokeToken(x *exchange, jti string) error {
	entry := revocation.Entry{
		Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, jti),
		Expires: a.now().Add(a.cfg.TokenLife + entryMargin).Unix(),
	}
	if err := a.cfg.Revocations.Add(x.ctx(), entry); err != nil {
		return err
	}
	a.cfg.Mirror.Merge(entry)
	x.happens(audit.TokenRevoked)
	x.note("jti", jti)
	return nil
}

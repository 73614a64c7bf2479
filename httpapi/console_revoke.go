package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

// axis is one way to revoke.
type axis struct {
	Kind  string // of adminapi.Revocation
	Title string
	Hint  string // what its identifier is; empty for none
}

func axes() []axis {
	return []axis{
		{"jti", "One access token", "the token's jti"},
		{"sid", "One session", "the session's sid"},
		{byUsername, "All of a user", "the username"},
		{"sub", "All of a subject, whose account may be gone", "the subject"},
		{"client_id", "All of a client", "the client's id"},
		{"all", "Everything", ""},
		{"kid", "A signing key, and all that it signed", "the key's kid"},
	}
}

// revokeData is what templates/console_revoke.html shows.
type revokeData struct {
	Done  string
	Axes  []axis
	Asked *blast // nil until it is known what is to be revoked
}

// blast is what a revocation hits, told before it is made.
type blast struct {
	Kind, ID string
	Title    string
	Text     []string
	Sessions []session.Session // that end
}

// revokePage asks what is to be revoked, and then shows what that would hit.
func (c *console) revokePage(x *exchange, o operator) error {
	data := revokeData{Done: consoleDone()[x.QueryParam("done")], Axes: axes()}
	title := "Revoke"
	if kind := x.QueryParam("kind"); kind != "" {
		radius, err := c.blast(x, kind, strings.TrimSpace(x.QueryParam("id")))
		if err != nil {
			return err
		}
		data.Asked, title = radius, "Revoke: "+strings.ToLower(radius.Title[:1])+radius.Title[1:]
	}
	return c.show(x, o, web.Page{Name: "console_revoke", Title: title, Data: data})
}

func (c *console) revokeForm(x *exchange, _ operator) error {
	var kindName, id string
	if err := readForm(x, formField{"kind", &kindName, 16}, formField{"id", &id, maxID}); err != nil {
		return err
	}
	kind, err := parseAxis(kindName, id)
	if err != nil {
		return err
	}
	if err := c.revokeBy(x, adminapi.Revocation{Kind: kindName, ID: id}, kind); err != nil {
		return err
	}
	return redirect(x, pathRevoking, url.Values{"done": {"revoked"}})
}

// parseAxis checks what the API checks, too.
func parseAxis(kindName, id string) (revocation.Kind, error) {
	kind, err := revocation.ParseKind(kindName)
	switch {
	case err != nil && kindName != byUsername:
		return 0, badRequest("There is no such thing to revoke.")
	case (id == "") != (kind == revocation.Everything):
		return 0, badRequest("Say which one: its identifier is missing.")
	case len(id) > maxID:
		return 0, badRequest("The identifier is too long.")
	}
	return kind, nil
}

// blast finds out what a revocation would hit.
func (c *console) blast(x *exchange, kindName, id string) (*blast, error) {
	kind, err := parseAxis(kindName, id)
	if err != nil {
		return nil, err
	}
	b := &blast{Kind: kindName, ID: id}
	for _, a := range axes() {
		if a.Kind == kindName {
			b.Title = a.Title
		}
	}
	switch kind {
	case revocation.Token:
		b.Text = []string{fmt.Sprintf("Every verifier refuses the access token %s. Its session goes on: it gets another one at its next refresh.", id)}
	case revocation.Session:
		err = c.blastOfSession(x, b)
	case revocation.Client:
		b.Text = []string{
			fmt.Sprintf("Every access token that was issued to the client %s until now is refused, and each of its sessions ends at its next refresh.", id),
			"How many there are is not counted. Its users have to log in again.",
		}
	case revocation.Everything:
		b.Title = "Everything"
		b.Text = []string{
			"Every access token that was issued until now is refused, and every session ends at its next refresh: of all users and all clients, yours too.",
			"Everybody has to log in again.",
		}
	case revocation.Key:
		err = c.blastOfKey(x, b)
	default:
		err = c.blastOfUser(x, b, kind)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (c *console) blastOfSession(x *exchange, b *blast) error {
	id, err := session.ParseID(b.ID)
	if err != nil {
		return badRequest("This is not a session's id: it has 22 characters of base64url.")
	}
	standing, err := c.admin.cfg.Sessions.Standing(x.ctx(), id)
	switch {
	case errors.Is(err, session.ErrNotFound):
		b.Text = []string{"No such session is known: it never was, or it ended long ago. What there may be of it is refused all the same."}
	case err != nil:
		return err
	case !standing.Session.EndedAt.IsZero():
		b.Text = []string{"The session has ended already."}
	default:
		b.Text = []string{"The session ends, and every verifier refuses its tokens."}
		b.Sessions = []session.Session{standing.Session}
	}
	return nil
}

func (c *console) blastOfUser(x *exchange, b *blast, kind revocation.Kind) error {
	subject, name := b.ID, "the subject "+b.ID
	if kind != revocation.Subject {
		user, err := c.admin.cfg.Users.Get(x.ctx(), b.ID)
		if errors.Is(err, identity.ErrNotFound) {
			return badRequest("No user has this name. Revoke by subject for one who is gone.")
		}
		if err != nil {
			return err
		}
		subject, name = user.Subject, user.Username
	}
	live, err := c.admin.cfg.Sessions.List(x.ctx(), subject)
	if err != nil {
		return err
	}
	b.Sessions = live
	b.Text = []string{
		fmt.Sprintf("%d sessions of %s end, and every access token that was issued to %s until now is refused.", len(live), name, name),
		"The account stays as it is: whoever knows the password can log in again.",
	}
	if len(live) == 1 {
		b.Text[0] = fmt.Sprintf("One session of %s ends, and every access token that was issued to %s until now is refused.", name, name)
	}
	return nil
}

func (c *console) blastOfKey(x *exchange, b *blast) error {
	r, err := c.admin.cfg.Keys.BlastRadius(x.ctx(), b.ID)
	if err != nil {
		return err
	}
	b.Text = []string{fmt.Sprintf("The key is %s. Every verifier refuses every token that it signed, also those that nobody stole.", r.State)}
	if !r.TokensUntil.IsZero() {
		b.Text = append(b.Text, "The last of them would have lived until "+r.TokensUntil.UTC().Format("2 Jan 2006, 15:04:05 UTC")+": until then their holders have to refresh before their time.")
	}
	if r.Successor != "" {
		b.Text = append(b.Text, "The key "+r.Successor+" signs from then on.")
	}
	if r.UnknownFor > 0 {
		b.Text = append(b.Text, "Verifiers that cache the keys may not know it for another "+r.UnknownFor.Round(time.Second).String()+", and refuse its tokens until then.")
	}
	return nil
}

package httpapi

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// maxHint bounds an id_token_hint, in bytes.
const maxHint = 8 << 10

// hint reads an ID token that we gave to a client. It may have expired.
func (p *public) hint(x *exchange, raw string) (oauth.Hint, error) {
	if raw == "" || len(raw) > maxHint {
		return oauth.Hint{}, oauth.ErrHint
	}
	claims, err := token.IDTokens().Open(x.ctx(), p.provider.Keys, raw)
	if err != nil {
		return oauth.Hint{}, err
	}
	return oauth.HintOf(claims, p.cfg.Issuer)
}

// endSession is a request of a client to log its user out (OpenID Connect RP-Initiated Logout).
type endSession struct {
	values    url.Values
	hint      oauth.Hint // zero where there is none, or none that we made
	target    string     // where to go afterwards; "" for our own page
	client    *oauth.Client
	confirmed bool // the user has confirmed it on our page
}

// readEndSession reads the request. A redirect is only for a client that is known, by its ID or by the hint, and to one
// of its URIs.
func (p *public) readEndSession(x *exchange, encoded string) (*endSession, error) {
	form, err := oauth.ParseForm(encoded)
	if err != nil {
		return nil, badRequest("The request " + err.Error() + ".")
	}
	if name, twice := firstRepeated(form, []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}); twice {
		return nil, badRequest(name + " was given twice.")
	}
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, badRequest("The request is not well encoded.")
	}
	e := &endSession{values: values, confirmed: form.Get(confirmField) != ""}
	e.values.Del(confirmField)
	id := form.Get("client_id")
	hint, err := p.hint(x, form.Get("id_token_hint"))
	switch {
	case errors.Is(err, token.ErrUnavailable):
		return nil, err
	case err == nil && id != "" && id != hint.ClientID:
		return nil, badRequest("The id_token_hint is another client's.")
	case err == nil:
		e.hint, id = hint, hint.ClientID
	}
	e.client = p.provider.Clients.Client(id)
	uri := form.Get("post_logout_redirect_uri")
	switch {
	case uri == "":
	case e.client == nil || !e.client.LogsOutTo(uri):
		return nil, badRequest("The application that sent you here made a mistake: it is not registered with the post_logout_redirect_uri.")
	default:
		e.target = oauth.Redirect(uri, [2]string{"state", form.Get("state")})
	}
	return e, nil
}

// confirmField is what our page's form has beside what the client sent.
const confirmField = "authd_confirmed"

// endSessionPage ends the browser's session at once when the client shows an ID token of that very session, which nobody
// else has. Otherwise it asks: a link alone must not log anybody out.
func (p *public) endSessionPage(x *exchange) error {
	e, err := p.readEndSession(x, x.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	subject, id, err := p.previous(x)
	switch {
	case errors.Is(err, errNoSession):
		return p.afterLogout(x, e)
	case err != nil:
		return err
	}
	mine, err := p.namesSession(x, e.hint, subject, id)
	if err != nil {
		return err
	}
	if mine {
		return p.endAndLeave(x, e, subject, id)
	}
	return p.askToEnd(x, e)
}

// endSessionForm is the same for a form. One that comes from our own page is the user's will; one of another site is made a
// link of, as forms of others come without our cookies.
func (p *public) endSessionForm(x *exchange) error {
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return err
	}
	e, err := p.readEndSession(x, string(body))
	if err != nil {
		return err
	}
	if !e.confirmed || http.NewCrossOriginProtection().Check(x.Request()) != nil {
		return redirect(x, pathEndSession, e.values)
	}
	subject, id, err := p.previous(x)
	if err == nil {
		x.subject, x.session = subject, id.String()
		err = p.cfg.Sessions.Logout(x.ctx(), subject, id, session.LogoutSession)
	}
	if err != nil && !errors.Is(err, errNoSession) {
		return err
	}
	clearCookies(x)
	if e.target == "" {
		return redirect(x, pathLogin, url.Values{"done": {"logout"}})
	}
	// Not a redirect, as Chromium holds those of a form against form-action. Without a session the page goes on to the client.
	e.values.Del("id_token_hint")
	e.values.Set("client_id", e.client.ID)
	return p.show(x, http.StatusOK, web.Page{Name: "onward", Title: "You are signed out", Next: pathEndSession + "?" + e.values.Encode()})
}

// namesSession tells whether a hint is about the browser's session: the one itself, or one that began from it.
func (p *public) namesSession(x *exchange, hint oauth.Hint, subject string, id session.ID) (bool, error) {
	if hint == (oauth.Hint{}) || hint.Subject != subject {
		return false, nil
	}
	if hint.SessionID == id.String() {
		return true, nil
	}
	list, err := p.cfg.Sessions.List(x.ctx(), subject)
	if err != nil {
		return false, err
	}
	for _, n := range list {
		began := n.Parent == id || n.Orphaned(list) // from this one, or from one that this has replaced
		if n.ID.String() == hint.SessionID && n.ClientID == hint.ClientID && began {
			return true, nil
		}
	}
	return false, nil
}

func (p *public) endAndLeave(x *exchange, e *endSession, subject string, id session.ID) error {
	x.subject, x.session = subject, id.String()
	if err := p.cfg.Sessions.Logout(x.ctx(), subject, id, session.LogoutSession); err != nil {
		return err
	}
	clearCookies(x)
	return p.afterLogout(x, e)
}

// afterLogout sends a browser without a session where the client wants it.
func (p *public) afterLogout(x *exchange, e *endSession) error {
	if e.target == "" {
		return redirect(x, pathLogin, url.Values{"done": {"logout"}})
	}
	return p.sendAway(x, e.target)
}

// signoutData is what templates/signout.html shows.
type signoutData struct {
	Client string // who asks; "" if that is not known
	Fields [][2]string
}

func (p *public) askToEnd(x *exchange, e *endSession) error {
	data := signoutData{Fields: [][2]string{{confirmField, "1"}}}
	if e.client != nil { // perhaps by the hint, which is not needed any more
		data.Client = e.client.Label()
		data.Fields = append(data.Fields, [2]string{"client_id", e.client.ID})
	}
	for _, name := range []string{"post_logout_redirect_uri", "state"} {
		if value := e.values.Get(name); value != "" {
			data.Fields = append(data.Fields, [2]string{name, value})
		}
	}
	return p.show(x, http.StatusOK, web.Page{Name: "signout", Title: "Sign out?", Data: data})
}

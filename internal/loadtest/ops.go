package loadtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

const contentJSON = "application/json"

// bearer is the header of a session's access token.
func bearer(s *session) string { return "Bearer " + s.access }

func (t *Target) host() string { return t.servers[0].url.Host }

func (t *Target) logoutRequest(s *session) []byte {
	return Request(http.MethodPost, t.host(), "/v1/logout", bearer(s), contentJSON, "{}")
}

// grant is the answer to a login and to a refresh.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
	ExpiresIn    int    `json:"expires_in"`
}

// granted reads a session from an answer.
func (s *session) granted(a answer, asked time.Time) (outcome, string) {
	if o, detail := a.judge(http.StatusOK); o != good {
		return o, detail
	}
	var g grant
	if err := json.Unmarshal(a.body, &g); err != nil || g.AccessToken == "" || g.RefreshToken == "" || g.SessionID == "" {
		return unreadable, "no session in the answer"
	}
	if g.RefreshToken == s.refresh {
		s.again++
	} else {
		s.again, s.rotated = 0, asked
	}
	s.id, s.access, s.refresh = g.SessionID, g.AccessToken, g.RefreshToken
	s.unsure = false
	s.expires = asked.Add(time.Duration(g.ExpiresIn) * time.Second)
	return good, ""
}

// login begins a session of the account whose turn it is.
func (t *Target) login(ctx context.Context, c *client) (*session, outcome, string) {
	account := t.config.Accounts[int(t.logins.Add(1)-1)%len(t.config.Accounts)]
	body, err := json.Marshal(map[string]string{"username": account.Name, "password": account.Password})
	if err != nil {
		return nil, unreadable, "the account cannot be written as JSON"
	}
	asked := time.Now()
	a, o, detail := c.do(ctx, Request(http.MethodPost, t.host(), "/v1/login", "", contentJSON, string(body)))
	if o != good {
		return nil, o, detail
	}
	s := &session{}
	o, detail = s.granted(a, asked)
	return s, o, detail
}

// refresh takes the next tokens of a session.
func (t *Target) refresh(ctx context.Context, c *client, s *session) (outcome, string) {
	asked := time.Now()
	s.unsure = true
	a, o, detail := c.do(ctx, Request(http.MethodPost, t.host(), "/v1/refresh", "", contentJSON, `{"refresh_token":"`+s.refresh+`"}`))
	if o != good {
		return o, detail
	}
	return s.granted(a, asked)
}

// get asks with a session's access token and expects 200.
func (t *Target) get(ctx context.Context, c *client, path string, s *session) (outcome, string) {
	host := c.servers[0].url.Host
	a, o, detail := c.do(ctx, Request(http.MethodGet, host, path, bearer(s), "", ""))
	if o != good {
		return o, detail
	}
	return a.judge(http.StatusOK)
}

func (t *Target) introspect(ctx context.Context, c *client, s *session) (outcome, string) {
	credentials := url.QueryEscape(t.config.ClientID) + ":" + url.QueryEscape(t.config.ClientSecret)
	a, o, detail := c.do(ctx, Request(http.MethodPost, t.host(), "/oauth2/introspect",
		"Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)), "application/x-www-form-urlencoded", "token="+s.access))
	if o != good {
		return o, detail
	}
	if o, detail = a.judge(http.StatusOK); o != good {
		return o, detail
	}
	if !bytes.Contains(a.body, []byte(`"active":true`)) {
		return unreadable, "a live token is not active"
	}
	return good, ""
}

// logout ends a session, and lets a follower see to it that every verifier hears of it.
func (t *Target) logout(ctx context.Context, c *client, s *session, sent *time.Time) (outcome, string) {
	f := t.follow(ctx, s)
	*sent = time.Now() // to prepare the following was not the server's work
	a, o, detail := c.do(ctx, t.logoutRequest(s))
	answered := time.Now()
	if o == good {
		if o, detail = a.judge(http.StatusNoContent); o == unauthorized && a.repeated && t.alive(s) {
			o, detail = good, "" // the first try had arrived
		}
	}
	if o != good {
		f.cancel()
		return o, detail
	}
	f.answered(answered)
	t.ended.add(ended{access: s.access, refresh: s.refresh, expires: s.expires, at: answered})
	t.following <- struct{}{}
	t.followers.Go(func() {
		defer func() { <-t.following }()
		f.run(context.WithoutCancel(ctx))
	})
	return good, ""
}

// worker is one client of the load.
type worker struct {
	*Target
	client   *client
	services []*client
	turn     int
}

func (t *Target) newWorker(i int) *worker {
	w := &worker{Target: t, client: t.newClient(), turn: i}
	w.client.at = i
	for _, s := range t.services {
		c := t.newClient()
		c.servers = []endpoint{s}
		w.services = append(w.services, c)
	}
	return w
}

func (w *worker) close() {
	w.client.close()
	for _, c := range w.services {
		c.close()
	}
}

// do makes one request that was due at a time.
func (w *worker) do(ctx context.Context, op Op, due time.Time, warmup bool) {
	sent := time.Now()
	if op == Login {
		s, o, detail := w.login(ctx, w.client)
		w.record(op, due, sent, o, detail, warmup)
		if o == good {
			w.sessions.begin(s)
		}
		return
	}
	fit := anySession
	if op == Refresh {
		fit = mayRefresh(w.config.MaxReplays, sent)
	}
	s := w.sessions.take(fit)
	if s == nil {
		w.record(op, due, sent, noSession, "", warmup)
		return
	}
	if op != Refresh && (s.unsure || !w.alive(s)) { // as a client does whose token has expired; the request is due after that
		began := time.Now()
		o, detail := w.refreshed(ctx, s)
		w.record(Refresh, began, began, o, detail, warmup)
		if o != good {
			w.record(op, due, sent, noSession, "", warmup)
			w.keep(s, o)
			return
		}
		due, sent = due.Add(time.Since(began)), time.Now()
	}
	o, detail := w.use(ctx, op, s, &sent)
	if op != Refresh && o == unauthorized && !w.alive(s) {
		o, detail = w.useAgain(ctx, op, s, &sent)
	}
	w.record(op, due, sent, o, detail, warmup)
	if op == Logout && o == good {
		w.sessions.forget()
		return
	}
	w.keep(s, o)
}

// useAgain is for a token that expired while no server could be reached: a client refreshes it, and asks again.
func (w *worker) useAgain(ctx context.Context, op Op, s *session, sent *time.Time) (outcome, string) {
	switch o, detail := w.refreshed(ctx, s); {
	case o == unauthorized && op == Logout:
		return good, "" // a try whose answer was lost had arrived
	case o != good:
		return o, detail
	}
	return w.use(ctx, op, s, sent)
}

// keep puts a session back. One that a server refused is not used again, as it would only fail again, but is logged out
// in the end, as others may hold it for live.
func (w *worker) keep(s *session, o outcome) {
	if o == unauthorized {
		w.sessions.doubt(s)
		return
	}
	if s.unsure { // whether the server has rotated it: the retry must come within the grace
		w.sessions.putFirst(s)
		return
	}
	w.sessions.put(s)
}

func (w *worker) refreshed(ctx context.Context, s *session) (outcome, string) {
	o, detail := w.refresh(ctx, w.client, s)
	if o == good {
		counter := &w.recorder.rotated
		if s.again > 0 {
			counter = &w.recorder.kept
		}
		w.recorder.count(counter)
	}
	return o, detail
}

// use does to a session what the operation asks for.
func (w *worker) use(ctx context.Context, op Op, s *session, sent *time.Time) (outcome, string) {
	w.turn++
	switch op {
	case Refresh:
		return w.refreshed(ctx, s)
	case Verify:
		return w.guards[w.turn%len(w.guards)].verify(ctx, s.access)
	case ForwardAuth:
		return w.get(ctx, w.client, "/v1/verify", s)
	case Introspect:
		return w.introspect(ctx, w.client, s)
	case Service:
		i := w.turn % len(w.services)
		return w.get(ctx, w.services[i], orElse(w.Target.services[i].url.Path, "/"), s)
	default:
		return w.logout(ctx, w.client, s, sent)
	}
}

// record notes a request that has just been answered.
func (w *worker) record(op Op, due, sent time.Time, o outcome, detail string, warmup bool) {
	now := time.Now()
	w.recorder.add(result{
		op: op, outcome: o, detail: detail, fromDue: now.Sub(due), fromSent: now.Sub(sent), warmup: warmup,
	})
}

package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/ssf"
)

// SharedSignals tells receivers of events; see [ssf.Transmitter].
type SharedSignals interface {
	Create(ctx context.Context, client string, s ssf.Stream) (ssf.Stream, error)
	List(client string) []ssf.Stream
	Get(client, id string) (ssf.Stream, error)
	Change(ctx context.Context, client, id string, change func(*ssf.Stream) error) (ssf.Stream, error)
	SetStatus(ctx context.Context, client, id string, status ssf.Status, reason string) (ssf.Stream, error)
	Leave(ctx context.Context, client, id string, subject ssf.SubjectID, out bool) error
	Verify(ctx context.Context, client, id, state string) error
	Delete(ctx context.Context, client, id string) error
	Poll(ctx context.Context, client, id string, r ssf.PollRequest, wait time.Duration) (ssf.PollAnswer, error)
}

const (
	pathStreams = "/v1/ssf/streams"
	pathStatus  = "/v1/ssf/status"
	pathAdd     = "/v1/ssf/subjects/add"
	pathRemove  = "/v1/ssf/subjects/remove"
	pathVerify  = "/v1/ssf/verify"
	// PathPoll is what a stream's id is put behind, to poll it.
	PathPoll = "/v1/ssf/poll/"

	// The scopes that a token of a client needs, by the CAEP Interoperability Profile 1.0.
	scopeRead   = "ssf.read"
	scopeManage = "ssf.manage"

	// pollWait is how long a poll waits for events, below what a request may take that changes something.
	pollWait = 10 * time.Second
)

func (p *public) ssfRoutes() []*route {
	managed := func(method, path string, handle func(x *exchange, client string) error) *route {
		return &route{method: method, path: path, limit: "ssf", client: p.clientID, handle: p.receiver(scopeManage, handle), changes: true}
	}
	read := func(path string, handle func(x *exchange, client string) error) *route {
		return &route{method: http.MethodGet, path: path, limit: "ssf", client: p.clientID, handle: p.receiver(scopeRead, handle), quiet: true}
	}
	poll := managed(http.MethodPost, PathPoll+":id", p.poll)
	poll.handle, poll.quiet = p.receiver(scopeRead, p.poll), true
	return []*route{
		{method: http.MethodGet, path: "/.well-known/ssf-configuration", limit: "discovery", handle: p.ssfConfiguration, quiet: true},
		managed(http.MethodPost, pathStreams, p.createStream),
		read(pathStreams, p.readStreams),
		managed(http.MethodPatch, pathStreams, p.updateStream),
		managed(http.MethodPut, pathStreams, p.replaceStream),
		managed(http.MethodDelete, pathStreams, p.deleteStream),
		read(pathStatus, p.readStatus),
		managed(http.MethodPost, pathStatus, p.setStatus),
		managed(http.MethodPost, pathAdd, p.addSubject),
		managed(http.MethodPost, pathRemove, p.removeSubject),
		managed(http.MethodPost, pathVerify, p.verifyStream),
		poll,
	}
}

// noSignals answers where the server tells nobody.
func noSignals() *refusal {
	return &refusal{status: http.StatusNotFound, code: codeNotFound, detail: "This server has no shared signals."}
}

// receiver finds out which client asks: one of those that may introspect, by its credentials, or one with a token of its own
// that has the scope. A registered client's credentials alone do not do: events are about all users.
func (p *public) receiver(scope string, handle func(x *exchange, client string) error) handler {
	return func(x *exchange) error {
		if p.cfg.SSF == nil {
			return noSignals()
		}
		id := p.clientID(x)
		if id == "" {
			var err error
			if id, err = p.tokenOfReceiver(x, scope); err != nil {
				return err
			}
		}
		x.actsAs(audit.Client, id)
		return handle(x, id)
	}
}

func (p *public) tokenOfReceiver(x *exchange, scope string) (client string, err error) {
	raw, err := bearer(x.Request())
	if err != nil || raw == "" {
		return "", &refusal{
			status: http.StatusUnauthorized, code: codeInvalidCredentials, challenge: basicChallenge,
			detail: "Client credentials, or an access token of the client's own, are required.",
		}
	}
	claims, err := p.cfg.Verifier.Verify(x.ctx(), raw)
	p.metrics.verifications.count(err)
	if err != nil {
		return "", err
	}
	scopes := strings.Fields(claims.Scope)
	if claims.SessionID != "" || !slices.Contains(scopes, scope) && !slices.Contains(scopes, scopeManage) {
		return "", &refusal{
			status: http.StatusForbidden, code: codeForbidden,
			detail: "A token that a client got for itself, with the scope " + scope + ", is required.",
		}
	}
	return claims.ClientID, nil
}

// transmitterMetadata is what receivers need to know (SSF section 7.1).
type transmitterMetadata struct {
	SpecVersion    string      `json:"spec_version"`
	Issuer         string      `json:"issuer"`
	JWKSURI        string      `json:"jwks_uri"`
	Delivery       []string    `json:"delivery_methods_supported"`
	Configuration  string      `json:"configuration_endpoint"`
	Status         string      `json:"status_endpoint"`
	AddSubject     string      `json:"add_subject_endpoint"`
	RemoveSubject  string      `json:"remove_subject_endpoint"`
	Verification   string      `json:"verification_endpoint"`
	Authorization  []specOfURN `json:"authorization_schemes"`
	DefaultSubject string      `json:"default_subjects"`
}

type specOfURN struct {
	URN string `json:"spec_urn"`
}

func (p *public) ssfConfiguration(x *exchange) error {
	if p.cfg.SSF == nil {
		return noSignals()
	}
	at := func(path string) string { return strings.TrimSuffix(p.cfg.Issuer, "/") + path }
	body, err := json.Marshal(transmitterMetadata{
		SpecVersion: "1_0", Issuer: p.cfg.Issuer, JWKSURI: at(pathJWKS), Delivery: []string{ssf.Push, ssf.Poll},
		Configuration: at(pathStreams), Status: at(pathStatus), AddSubject: at(pathAdd), RemoveSubject: at(pathRemove), Verification: at(pathVerify),
		Authorization: []specOfURN{{"urn:ietf:rfc:7617"}, {"urn:ietf:rfc:6749"}}, DefaultSubject: "ALL",
	})
	if err != nil {
		return err
	}
	return newFixed(echo.MIMEApplicationJSON, body).send(x)
}

// streamBody is a stream as receivers see it (SSF section 8.1.1).
type streamBody struct {
	ID          string       `json:"stream_id"`
	Issuer      string       `json:"iss"`
	Audience    string       `json:"aud"`
	Supported   []string     `json:"events_supported"`
	Requested   []string     `json:"events_requested"`
	Delivered   []string     `json:"events_delivered"`
	Delivery    ssf.Delivery `json:"delivery"`
	Description string       `json:"description,omitempty"`
}

func (p *public) streamBody(s ssf.Stream) streamBody {
	s.Delivery.Authorization = "" // the receiver's secret
	return streamBody{
		ID: s.ID, Issuer: p.cfg.Issuer, Audience: s.Client, Supported: ssf.Supported(), Requested: orEmpty(s.Requested),
		Delivered: orEmpty(s.Delivered()), Delivery: s.Delivery, Description: s.Description,
	}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// streamRequest is what a receiver says of a stream. What is the transmitter's may come along, and must then be true.
type streamRequest struct {
	ID          string        `json:"stream_id"`
	Issuer      *string       `json:"iss"`
	Audience    *string       `json:"aud"`
	Requested   *[]string     `json:"events_requested"`
	Delivery    *ssf.Delivery `json:"delivery"`
	Description *string       `json:"description"`
}

// readJSON reads a body whose unknown members are ignored, as SSF wants.
func readJSON(x *exchange, into any) error {
	body, err := readBody(x, echo.MIMEApplicationJSON)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return badRequest("The body is not the JSON object that is wanted here.")
	}
	return nil
}

// apply changes what the request names, or, to replace a stream, everything.
func (r streamRequest) apply(s *ssf.Stream, replace bool) {
	if replace {
		s.Requested, s.Description, s.Delivery = nil, "", ssf.Delivery{}
	}
	if r.Requested != nil {
		s.Requested = *r.Requested
	}
	if r.Description != nil {
		s.Description = *r.Description
	}
	if r.Delivery != nil {
		s.Delivery = *r.Delivery
	}
}

func (p *public) createStream(x *exchange, client string) error {
	var r streamRequest
	if err := readJSON(x, &r); err != nil {
		return err
	}
	var s ssf.Stream
	r.apply(&s, true)
	s, err := p.cfg.SSF.Create(x.ctx(), client, s)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, p.streamBody(s))
}

func (p *public) readStreams(x *exchange, client string) error {
	if id := x.QueryParam("stream_id"); id != "" {
		s, err := p.cfg.SSF.Get(client, id)
		if err != nil {
			return err
		}
		return x.JSON(http.StatusOK, p.streamBody(s))
	}
	bodies := []streamBody{}
	for _, s := range p.cfg.SSF.List(client) {
		bodies = append(bodies, p.streamBody(s))
	}
	return x.JSON(http.StatusOK, bodies)
}

func (p *public) updateStream(x *exchange, client string) error {
	return p.changeStream(x, client, false)
}
func (p *public) replaceStream(x *exchange, client string) error {
	return p.changeStream(x, client, true)
}

func (p *public) changeStream(x *exchange, client string, replace bool) error {
	var r streamRequest
	if err := readJSON(x, &r); err != nil {
		return err
	}
	if r.Issuer != nil && *r.Issuer != p.cfg.Issuer || r.Audience != nil && *r.Audience != client {
		return badFields(fieldError{Field: "iss", Detail: "iss and aud cannot be changed"})
	}
	s, err := p.cfg.SSF.Change(x.ctx(), client, r.ID, func(s *ssf.Stream) error {
		r.apply(s, replace)
		return nil
	})
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, p.streamBody(s))
}

func (p *public) deleteStream(x *exchange, client string) error {
	if err := p.cfg.SSF.Delete(x.ctx(), client, x.QueryParam("stream_id")); err != nil {
		return err
	}
	return x.done()
}

type statusBody struct {
	ID     string     `json:"stream_id"`
	Status ssf.Status `json:"status"`
	Reason string     `json:"reason,omitempty"`
}

func (p *public) readStatus(x *exchange, client string) error {
	s, err := p.cfg.SSF.Get(client, x.QueryParam("stream_id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, statusBody{s.ID, s.Status, s.Reason})
}

func (p *public) setStatus(x *exchange, client string) error {
	var r statusBody
	if err := readJSON(x, &r); err != nil {
		return err
	}
	s, err := p.cfg.SSF.SetStatus(x.ctx(), client, r.ID, r.Status, r.Reason)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, statusBody{s.ID, s.Status, s.Reason})
}

type subjectBody struct {
	ID      string        `json:"stream_id"`
	Subject ssf.SubjectID `json:"subject"`
}

func (p *public) addSubject(x *exchange, client string) error {
	if err := p.leave(x, client, false); err != nil {
		return err
	}
	x.Response().WriteHeader(http.StatusOK) // SSF section 8.1.3.2
	return nil
}

func (p *public) removeSubject(x *exchange, client string) error {
	if err := p.leave(x, client, true); err != nil {
		return err
	}
	return x.done()
}

func (p *public) leave(x *exchange, client string, out bool) error {
	var r subjectBody
	if err := readJSON(x, &r); err != nil {
		return err
	}
	return p.cfg.SSF.Leave(x.ctx(), client, r.ID, r.Subject, out)
}

func (p *public) verifyStream(x *exchange, client string) error {
	var r struct {
		ID    string `json:"stream_id"`
		State string `json:"state"`
	}
	if err := readJSON(x, &r); err != nil {
		return err
	}
	if err := p.cfg.SSF.Verify(x.ctx(), client, r.ID, r.State); err != nil {
		return err
	}
	return x.done()
}

func (p *public) poll(x *exchange, client string) error {
	var r ssf.PollRequest
	if err := readJSON(x, &r); err != nil {
		return err
	}
	// The wait ends with the server's drain: nothing changes while it lasts.
	ctx, cancel := context.WithCancel(x.ctx())
	defer cancel()
	defer context.AfterFunc(draining(x.ctx()), cancel)()
	answer, err := p.cfg.SSF.Poll(ctx, client, x.Param("id"), r, pollWait)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, answer)
}

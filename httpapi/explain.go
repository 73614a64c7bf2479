package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// maxExplained bounds the token of a question, in bytes: above what any token has, so that the size can be explained too.
const maxExplained = 10 << 10

// explain tells what a verifier makes of a token, and why. The answer holds neither the token nor its signature: it may be
// pasted into a ticket.
func (a *admin) explain(x *exchange) error {
	var q adminapi.Question
	if err := readObject(x, field{Name: "token", Into: &q.Token, Required: true, Max: maxExplained}); err != nil {
		return err
	}
	e := a.cfg.Tokens.Explain(x.ctx(), q.Token)
	body := adminapi.Explanation{
		Verdict: verdictOf(e.Verdict()), Reason: reasonOf(e.Verdict()), At: e.At.UTC(), Authentic: e.Authentic,
		Claims: claimsShown(e.Claims), Mirror: a.mirrorShown(e.At),
	}
	if strings.HasPrefix(q.Token, refreshTokenPrefix) {
		body.Summary = "This is a refresh token. Services get access tokens; only authd takes this one."
	} else {
		body.Summary = summaryOf(e)
	}
	body.Key = a.keyShown(e.KeyID)
	if e.Claims != nil {
		body.Session = a.sessionShown(x, e)
		body.Revocations = a.revocationsShown(e, body.Key, body.Session)
	}
	for _, f := range e.Findings {
		body.Checks = append(body.Checks, adminapi.TokenCheck{
			Name: string(f.Check), Result: resultOf(f), Detail: detailOf(f, e, body.Key),
		})
	}
	if e.Authentic && e.Claims != nil {
		x.subject, x.session = e.Claims.Subject, e.Claims.SessionID
	}
	return x.JSON(http.StatusOK, body)
}

func verdictOf(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, token.ErrInvalid):
		return "refused"
	}
	return resultUnavailable
}

// reasonOf names an error as the metrics do. A bound token may be good: here it has just come without its proof.
func reasonOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, token.ErrBound):
		return "bound"
	}
	for _, o := range verificationOutcomes() {
		if errors.Is(err, o.is) {
			return o.label
		}
	}
	return "error"
}

// summaryOf says how many things are wrong, as whoever mends the first wants to know of the next.
func summaryOf(e token.Explanation) string {
	var wrong []string
	for _, f := range e.Findings {
		if f.Err != nil {
			wrong = append(wrong, string(f.Check))
		}
	}
	switch {
	case len(wrong) == 0:
		return "A verifier of this issuer and audience accepts the token."
	case verdictOf(e.Verdict()) == resultUnavailable:
		return "A verifier cannot tell at the moment: " + strings.Join(wrong, ", ") + "."
	}
	return "A verifier refuses the token: " + strings.Join(wrong, ", ") + "."
}

const (
	resultPassed      = "passed"
	resultFailed      = "failed"
	resultUnavailable = "unavailable"
	resultNotReached  = "not_reached"
)

func resultOf(f token.Finding) string {
	switch {
	case !f.Reached:
		return resultNotReached
	case f.Err == nil:
		return resultPassed
	case errors.Is(f.Err, token.ErrInvalid):
		return resultFailed
	}
	return resultUnavailable
}

// claimsShown copies what names something. Custom claims are left out: they may hold anything.
func claimsShown(c *token.Claims) *adminapi.TokenClaims {
	if c == nil {
		return nil
	}
	s := &adminapi.TokenClaims{
		Issuer: shown(c.Issuer), Subject: shown(c.Subject), ClientID: shown(c.ClientID), Scope: shown(c.Scope),
		ID: shown(c.ID), SessionID: shown(c.SessionID),
		IssuedAt: timeOrNil(c.IssuedAt), NotBefore: timeOrNil(c.NotBefore), ExpiresAt: timeOrNil(c.ExpiresAt),
		AuthTime: timeOrNil(c.AuthTime),
	}
	for _, name := range c.Audience {
		s.Audience = append(s.Audience, shown(name))
	}
	return s
}

// maxShown is what an identifier of a good token may have, in bytes. A claim that is refused for its length may be
// anything, even a token.
const maxShown = 255

func shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

func (a *admin) mirrorShown(now time.Time) adminapi.ExplanationOfMirror {
	s := a.cfg.Mirror.Status()
	shown := adminapi.ExplanationOfMirror{Fresh: s.Fresh, AsOf: timeOrNil(s.AsOf)}
	if !s.AsOf.IsZero() {
		shown.AgeMS = max(0, now.Sub(s.AsOf).Milliseconds())
	}
	return shown
}

// unknown is the state of what no record is held of.
const unknown = "unknown"

func (a *admin) keyShown(kid string) *adminapi.TokenKey {
	if kid == "" {
		return nil
	}
	s, err := a.cfg.Ring.Standing(kid)
	k := &adminapi.TokenKey{ID: kid, State: unknown, AsOf: timeOrNil(s.AsOf)}
	switch {
	case err == nil:
		k.Algorithm, k.State = s.Key.Algorithm, string(s.Key.State)
		k.Since, k.Until = timeOrNil(s.Key.Since), timeOrNil(s.Until)
	case !errors.Is(err, keys.ErrNotFound):
		k.State = resultUnavailable
	}
	return k
}

// sessionShown looks the token's session up, whoever wrote the token: the question is an administrator's.
func (a *admin) sessionShown(x *exchange, e token.Explanation) *adminapi.TokenSession {
	if e.Claims.SessionID == "" {
		return nil
	}
	shown := &adminapi.TokenSession{ID: shown(e.Claims.SessionID), State: unknown}
	id, err := session.ParseID(e.Claims.SessionID)
	if err != nil {
		return shown // nobody's session
	}
	s, err := a.cfg.Sessions.Standing(x.ctx(), id)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return shown
	case err != nil:
		shown.State = resultUnavailable
		return shown
	case !s.Session.EndedAt.IsZero():
		shown.State = "ended"
	case s.CutOff:
		shown.State = "cut_off"
	default:
		shown.State = "live"
	}
	shown.Subject, shown.EndedAt = s.Session.Subject, timeOrNil(s.Session.EndedAt)
	shown.CreatedAt, shown.LastUsedAt = timeOrNil(s.Session.CreatedAt), timeOrNil(s.Session.LastUsedAt)
	shown.IdleUntil, shown.AbsoluteUntil = timeOrNil(s.IdleUntil), timeOrNil(s.AbsoluteUntil)
	return shown
}

// revocationsShown tells what the set holds on each axis. Entries do not have the time of their writing, so it is taken
// from where it is known: from what this process heard, and from the records of what was revoked.
func (a *admin) revocationsShown(e token.Explanation, key *adminapi.TokenKey, of *adminapi.TokenSession) []adminapi.TokenRevocation {
	if e.RevocationIDs == (revocation.Claims{}) {
		return nil
	}
	ids := map[revocation.Kind]string{
		revocation.Token: e.Claims.ID, revocation.Session: e.Claims.SessionID, revocation.Subject: e.Claims.Subject,
		revocation.Client: e.Claims.ClientID, revocation.Key: e.KeyID,
	}
	var list []adminapi.TokenRevocation
	for _, h := range a.cfg.Mirror.Holdings(e.RevocationIDs) {
		r := adminapi.TokenRevocation{Kind: h.Kind.String(), ID: shown(ids[h.Kind]), Result: "none"}
		if h.Held {
			r.Result = resultPassed
			if h.Hits {
				r.Result = "hit"
			}
			r.Expires, r.NotBefore = unixTimeOrNil(h.Entry.Expires), unixTimeOrNil(h.Entry.NotBefore)
			switch {
			case !h.Heard.IsZero():
				r.WrittenAt, r.WrittenBy = timeOrNil(h.Heard), "heard"
			case r.NotBefore != nil:
				r.WrittenAt, r.WrittenBy = r.NotBefore, "cutoff"
			case h.Kind == revocation.Session && of != nil && of.EndedAt != nil:
				r.WrittenAt, r.WrittenBy = of.EndedAt, "session"
			case h.Kind == revocation.Key && key != nil && key.State == string(keys.Revoked) && key.Since != nil:
				r.WrittenAt, r.WrittenBy = key.Since, "key"
			}
		}
		list = append(list, r)
	}
	return list
}

func unixTimeOrNil(seconds int64) *time.Time {
	if seconds == 0 {
		return nil
	}
	return timeOrNil(time.Unix(seconds, 0))
}

// detailOf says about one check what people want to know. What comes from the token is quoted, so that it cannot pass for
// something else.
func detailOf(f token.Finding, e token.Explanation, key *adminapi.TokenKey) string {
	if !f.Reached {
		return "what it looks at cannot be read, or an earlier check failed"
	}
	c := e.Claims
	switch f.Check {
	case token.CheckSize:
		return fmt.Sprintf("%d bytes, at most %d", e.Size, e.MaxSize)
	case token.CheckAlgorithm:
		return quoted(e.Algorithm)
	case token.CheckKey:
		return keyDetail(f, e, key)
	case token.CheckExpiry:
		return relative(c.ExpiresAt, e.At, "expires", "expired") + withLeeway(e)
	case token.CheckStart:
		from := c.IssuedAt
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		return relative(from, e.At, "begins", "began") + withLeeway(e)
	case token.CheckIssuer:
		return expected(quoted(c.Issuer), quoted(e.Issuer), f.Err)
	case token.CheckAudience:
		return expected(quoted(c.Audience...), quoted(e.Audience...), f.Err)
	case token.CheckBinding:
		if f.Err != nil {
			return "bound to a key: good only together with a proof of it (DPoP), which an explanation has not"
		}
		return "a bearer token"
	case token.CheckLife:
		return fmt.Sprintf("%v, at most %v", c.ExpiresAt.Sub(c.IssuedAt), e.MaxLife)
	default:
		return plainDetail(f.Err)
	}
}

// plainDetail is the error without what the result says already.
func plainDetail(err error) string {
	if err == nil {
		return "nothing wrong"
	}
	text := err.Error()
	for _, prefix := range []string{revokedPrefix(), token.ErrMalformed.Error(), token.ErrInvalid.Error(), token.ErrUnavailable.Error()} {
		if rest, cut := strings.CutPrefix(text, prefix+": "); cut {
			return rest
		}
	}
	return text
}

// revokedPrefix is what stands before the axis in the answer of a mirror.
func revokedPrefix() string { return token.ErrRevoked.Error() + ": " + revocation.ErrRevoked.Error() }

// keyDetail tells why a key is not there: it may be another issuer's, or one whose time is over.
func keyDetail(f token.Finding, e token.Explanation, key *adminapi.TokenKey) string {
	text := quoted(e.KeyID)
	switch {
	case key == nil:
		return text
	case key.State != unknown && key.State != resultUnavailable:
		text += " is " + key.State
		if f.Err != nil && key.Algorithm != e.Algorithm {
			text += ", but for " + key.Algorithm
		}
		return text
	case errors.Is(f.Err, token.ErrUnavailable):
		return text + ": " + plainDetail(f.Err)
	}
	if _, ours := keys.ParseKeyID(e.KeyID); !ours {
		return text + " is of another issuer"
	}
	return text + " is not in the ring: dropped since, of another ring, or made up"
}

// relative says when something happens or happened, and how far away that is.
func relative(t, now time.Time, future, past string) string {
	d := t.Sub(now).Round(time.Second)
	if t.After(now) {
		return fmt.Sprintf("%s in %v, %s", future, d, t.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s %v ago, %s", past, -d, t.UTC().Format(time.RFC3339))
}

func withLeeway(e token.Explanation) string { return fmt.Sprintf(" (leeway %v)", e.Leeway) }

func expected(have, want string, err error) string {
	if err == nil {
		return have
	}
	return have + ", expected " + want
}

// quoted shows texts of a token: bounded, and without what a terminal would obey.
func quoted(texts ...string) string {
	const most = 4
	var list []string
	for i, text := range texts {
		if i == most {
			list = append(list, fmt.Sprintf("and %d more", len(texts)-most))
			break
		}
		list = append(list, fmt.Sprintf("%q", shown(text)))
	}
	return strings.Join(list, ", ")
}

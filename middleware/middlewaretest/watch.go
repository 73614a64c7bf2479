package middlewaretest

import (
	"context"
	"sync"
	"time"

	"github.com/authd-project/authd/revocation"
)

// streams are the tokens in use that guards of [Issuer.Guard] watch. They are looked at whenever the issuer changes, by
// whoever changes it: their contexts have ended when Revoke, Logout or Outage returns.
type streams struct{ open sync.Map } // of *stream

type stream struct {
	watch revocation.Watch
	check revocation.Checker
	over  sync.Once // ended or stopped
}

// Watch implements what middleware wants of revocations that can be watched, as [revocation.Mirror.Watch] says.
func (a aged) Watch(w revocation.Watch) (stop func() bool) {
	s := &stream{watch: w, check: a}
	if w.MaxAge != 0 {
		s.check = a.Within(w.MaxAge)
	}
	open := &a.issuer.streams.open
	open.Store(s, nil)
	s.look()
	expires := time.AfterFunc(time.Unix(w.Expires, 0).Sub(a.now()), func() { s.end(revocation.ErrExpired) })
	return func() (stopped bool) {
		s.over.Do(func() { stopped = true })
		expires.Stop()
		open.Delete(s)
		return stopped
	}
}

func (ss *streams) look() {
	ss.open.Range(func(s, _ any) bool {
		s.(*stream).look()
		return true
	})
}

func (s *stream) look() {
	if err := s.check.Check(context.Background(), s.watch.Claims); err != nil {
		s.end(err)
	}
}

func (s *stream) end(why error) {
	s.over.Do(func() { s.watch.Ended(why) })
}

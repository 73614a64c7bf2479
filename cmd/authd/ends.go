package main

import (
	"context"

	"github.com/authd-project/authd/identity/outbox"
	"github.com/authd-project/authd/session"
)

// openEnds opens what ends the sessions of accounts that were changed, and keeps at it until they have ended.
func (a *app) openEnds(sessions *session.Service) error {
	if a.notes == nil {
		a.ends = endsAtOnce{sessions}
		return nil
	}
	box, err := outbox.New(outbox.Config{
		Notes: a.notes, Sessions: sessions, Skew: a.cfg.keyPolicy().Skew, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.ends = box
	a.jobs = append(a.jobs, box.Run)
	return nil
}

// endsAtOnce is for users that are not authd's to change, of whom nothing is noted.
type endsAtOnce struct{ sessions *session.Service }

// Finish implements [httpapi.AccountEnds].
func (e endsAtOnce) Finish(ctx context.Context, subject string) error {
	return e.sessions.EndSubject(ctx, subject)
}

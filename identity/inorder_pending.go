package identity

import "context"

var _ Notes = (*InOrder)(nil)

// notes returns what the source that takes changes has of notes; nil when there is none.
func (o *InOrder) notes() Notes {
	if o.managed == nil {
		return nil
	}
	notes, _ := o.managed.Users.(Notes)
	return notes
}

// PendingEnds implements [Notes], with the subjects under which others know the accounts.
func (o *InOrder) PendingEnds(ctx context.Context, subject string, limit int) ([]PendingEnd, error) {
	notes := o.notes()
	if notes == nil {
		return nil, ctx.Err()
	}
	if subject != "" {
		s, inside := o.bySubject(subject)
		if s != o.managed || inside == "" {
			return nil, ctx.Err()
		}
		subject = inside
	}
	pending, err := notes.PendingEnds(ctx, subject, limit)
	for i := range pending {
		pending[i].Subject = o.managed.outside(Account{Subject: pending[i].Subject}).Subject
	}
	return pending, err
}

// EndsDone implements [Notes].
func (o *InOrder) EndsDone(ctx context.Context, ids ...string) error {
	notes := o.notes()
	if notes == nil {
		return ctx.Err()
	}
	return notes.EndsDone(ctx, ids...)
}

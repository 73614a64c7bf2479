package audit

import (
	"cmp"
	"context"
)

// Origin is where a request came from. It travels in the context, so that packages which know nothing of requests can
// cause events that tell.
type Origin struct {
	Actor     Actor
	Address   string
	UserAgent string
	RequestID string
}

type originKey struct{}

// WithOrigin returns a context in which events are of this origin. What becomes known of it later may be written into o, by
// the goroutine that records.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// from fills in what the event does not say itself.
func (e Event) from(ctx context.Context) Event {
	o, ok := ctx.Value(originKey{}).(*Origin)
	if !ok {
		return e
	}
	if e.Actor.Type == "" {
		e.Actor = o.Actor
	}
	e.Address, e.UserAgent = cmp.Or(e.Address, o.Address), cmp.Or(e.UserAgent, o.UserAgent)
	e.RequestID = cmp.Or(e.RequestID, o.RequestID)
	return e
}

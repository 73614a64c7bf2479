package ssf

import "context"

// Store keeps streams and their queues. Methods may be called concurrently and honour ctx. Changes are durable once they
// return nil; errors caused by the backend wrap [ErrUnavailable].
type Store interface {
	Streams(ctx context.Context) ([]Stream, error)
	// Put creates a stream or replaces it.
	Put(ctx context.Context, s Stream) error
	// Delete deletes a stream and its queue, if there is one.
	Delete(ctx context.Context, id string) error
	// Append adds events to the ends of queues, by stream, all or none. One that is in the queue already, by its ID, stays as
	// it is. It returns how long those queues are now. A stream that does not exist is left out.
	Append(ctx context.Context, events map[string][]Claims) (lengths map[string]int, err error)
	// Oldest returns the first events of a queue, n at most, and whether there are more.
	Oldest(ctx context.Context, stream string, n int) (events []Claims, more bool, err error)
	// Remove removes events from a queue by their IDs. Unknown ones are ignored.
	Remove(ctx context.Context, stream string, ids ...string) error
}

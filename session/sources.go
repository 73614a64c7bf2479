package session

import "context"

// MACKeys provides the keys of the refresh tokens' MACs. They live in the key ring and rotate with it.
type MACKeys interface {
	// MACKey returns the key that new refresh tokens are made with, or an error when the ring is not at hand.
	MACKey(ctx context.Context) (id uint32, key []byte, err error)
	// MACKeyByID returns the key that a presented token names; known is false when the ring has no such key (any more).
	MACKeyByID(ctx context.Context, id uint32) (key []byte, known bool, err error)
}

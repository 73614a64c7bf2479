package testenv

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Dialer dials, and closes what is still open when the test ends: pools keep connections that nobody uses any more, and
// for each a goroutine.
func Dialer(t testing.TB) func(ctx context.Context, network, addr string) (net.Conn, error) {
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close() // mostly for the second time
		}
	})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, c)
		return c, nil
	}
}

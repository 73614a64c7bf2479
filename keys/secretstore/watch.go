package secretstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/authd-project/authd/keys"
)

// stream is one watch of the Secret. It begins with the Secret as it is, if it exists.
type stream struct {
	watch.Interface
	cancel context.CancelFunc
}

// open begins a stream, within the timeout. The stream itself has none.
func (c *cell) open(ctx context.Context) (stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(c.timeout, cancel)
	w, err := c.secrets.Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, c.name).String(),
	})
	if err != nil {
		cancel()
		if !timer.Stop() {
			err = fmt.Errorf("no answer within %v: %w", c.timeout, err)
		}
		return stream{}, err
	}
	timer.Stop() // if it fires just now the stream ends, as streams may at any time
	return stream{w, cancel}, nil
}

// close ends the stream and waits for its goroutine. Closing it twice does no harm.
func (s stream) close() {
	s.cancel()
	s.Stop()
	for range s.ResultChan() {
	}
}

// Watch implements [keys.Cell].
func (c *cell) Watch(ctx context.Context) (<-chan keys.Version, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	versions := make(chan keys.Version, 1) // the latest that was not received yet
	go func() {
		defer close(versions)
		if err := c.follow(ctx, s, versions); ctx.Err() == nil {
			c.log.WarnContext(ctx, "the watch of the key ring ended", "err", err)
		}
	}()
	return versions, nil
}

// follow delivers versions until ctx ends, changes can no longer be seen, or the ring is lost: whoever watches should
// load then, which puts it back. It closes the stream.
func (c *cell) follow(ctx context.Context, s stream, versions chan keys.Version) error {
	defer func() { s.close() }()
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for delivered := keys.Version(""); ; {
		current := delivered
		var intact bool // the stream
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-s.ResultChan():
			if intact = open && event.Type != watch.Error; intact {
				current = versionAfter(event)
			}
		case <-ticker.C:
			var err error
			if current, err = c.readVersion(ctx); err != nil {
				return err // the connection may be dead, and the stream with it
			}
			intact = current == delivered // otherwise the stream should have said so
		}
		if current == "" && delivered != "" {
			return errors.New("the Secret has lost the key ring")
		}
		if current != delivered {
			select {
			case <-versions: // replaced: nobody has come for it yet
			default:
			}
			versions <- current
			delivered = current
		}
		if intact {
			continue
		}
		s.close()
		pause(ctx)
		next, err := c.open(ctx)
		if err != nil {
			return err
		}
		s = next
	}
}

// versionAfter is the ring's version after an event, empty when it is lost.
func versionAfter(event watch.Event) keys.Version {
	secret, ok := event.Object.(*corev1.Secret)
	if !ok || event.Type == watch.Deleted {
		return ""
	}
	return versionOf(secret)
}

// readVersion also takes note that the ring is as it is.
func (c *cell) readVersion(ctx context.Context) (keys.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	secret, err := c.look(ctx)
	if err != nil {
		return "", err
	}
	return versionOf(secret), nil
}

// pause keeps a server that ends every stream at once from being asked all the time. Who watches waits longer and longer
// when a stream cannot even begin.
func pause(ctx context.Context) {
	timer := time.NewTimer(100*time.Millisecond + rand.N(100*time.Millisecond)) // replicas must not come back in step
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

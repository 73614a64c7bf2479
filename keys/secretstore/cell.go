package secretstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/authd-project/authd/keys"
)

// The Secret's fields.
const (
	ringField = "ring"
	// versionField is random for each write, as two rings without keys may be equal byte for byte.
	versionField = "version"
)

// cell implements [keys.Cell].
type cell struct {
	secrets                corev1client.SecretInterface
	name                   string
	viewAge, poll, timeout time.Duration
	now                    func() time.Time
	log                    *slog.Logger

	mu   sync.Mutex
	seen sight
}

// sight is the ring as it was seen last.
type sight struct {
	version keys.Version // empty when none was ever seen
	value   []byte
	at      time.Time // before the API server was asked
}

// versionOf is empty when the Secret holds no ring. The Secret's UID is part of it, so that a writer who knew a Secret
// that was deleted since is stale even if somebody has restored its content.
func versionOf(s *corev1.Secret) keys.Version {
	if len(s.Data[ringField]) == 0 {
		return ""
	}
	hash := sha256.New()
	for _, part := range [][]byte{[]byte(s.UID), s.Data[versionField], s.Data[ringField]} {
		fmt.Fprintf(hash, "%d:", len(part))
		hash.Write(part)
	}
	return keys.Version(base64.RawURLEncoding.EncodeToString(hash.Sum(nil)))
}

// Get implements [keys.Cell]. It puts the ring back when the Secret has lost it.
func (c *cell) Get(ctx context.Context) ([]byte, keys.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	secret, err := c.look(ctx)
	if last := c.last(); err == nil && versionOf(secret) == "" && last.version != "" {
		secret, err = c.restore(ctx, last)
	}
	if err != nil {
		return nil, "", unavailable(err)
	}
	if v := versionOf(secret); v != "" {
		return secret.Data[ringField], v, nil
	}
	return nil, "", nil
}

// restore puts the ring back as it was seen last, unless somebody else was faster.
func (c *cell) restore(ctx context.Context, last sight) (*corev1.Secret, error) {
	if age := c.now().Sub(last.at); age > c.viewAge {
		return nil, fmt.Errorf("the Secret has lost the key ring, and this process last saw it %v ago: "+
			"restore it from a backup, or restart every process to begin a new ring", age)
	}
	secret, err := c.write(ctx, last.value, func(now *corev1.Secret) bool { return versionOf(now) == "" })
	if err != nil && !errors.Is(err, keys.ErrStale) {
		return nil, fmt.Errorf("putting back the key ring that the Secret has lost: %w", err)
	}
	if err == nil {
		c.log.WarnContext(ctx, "the Secret had lost the key ring, put back", "version", string(versionOf(secret)))
		return secret, nil
	}
	return c.look(ctx)
}

// Swap implements [keys.Cell].
func (c *cell) Swap(ctx context.Context, old keys.Version, value []byte) (keys.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	secret, err := c.write(ctx, value, func(now *corev1.Secret) bool { return versionOf(now) == old })
	switch {
	case errors.Is(err, keys.ErrStale):
		return "", err
	case err != nil:
		return "", unavailable(err)
	}
	return versionOf(secret), nil
}

// write replaces the ring if the Secret is as wanted, and returns the Secret that holds it. The update names the
// resourceVersion that was looked at; when that has moved on, it looks again.
func (c *cell) write(ctx context.Context, value []byte, wanted func(*corev1.Secret) bool) (*corev1.Secret, error) {
	stamp := rand.Text()
	for {
		secret, err := c.look(ctx)
		switch {
		case err != nil:
			return nil, err
		case string(secret.Data[versionField]) == stamp:
			return secret, nil // a write of ours whose answer was lost, and that the client has sent again
		case !wanted(secret):
			return nil, fmt.Errorf("%w: the version has moved on to %q", keys.ErrStale, versionOf(secret))
		case secret.ResourceVersion == "" || secret.UID == "":
			return nil, errors.New("the API server names no version; without one an update would overwrite anything")
		}
		if secret.Data == nil {
			secret.Data = make(map[string][]byte)
		}
		secret.Data[ringField], secret.Data[versionField] = value, []byte(stamp)
		asked := c.now()
		written, err := c.secrets.Update(ctx, secret, metav1.UpdateOptions{})
		if err == nil {
			c.see(written, asked)
			return written, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, err
		}
	}
}

// look reads the Secret, as it is now, and takes note of the ring.
func (c *cell) look(ctx context.Context) (*corev1.Secret, error) {
	asked := c.now()
	secret, err := c.secrets.Get(ctx, c.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w; deploy/rbac.yaml makes it", err)
	case err != nil:
		return nil, err
	}
	c.see(secret, asked)
	return secret, nil
}

func (c *cell) last() sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// see takes note of a ring, if there is one, unless it was asked for before the one that is known: answers may overtake
// each other.
func (c *cell) see(s *corev1.Secret, asked time.Time) {
	v := versionOf(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if v != "" && !asked.Before(c.seen.at) {
		c.seen = sight{version: v, value: s.Data[ringField], at: asked}
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", keys.ErrUnavailable, err) }

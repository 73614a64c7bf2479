package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// HasherConfig configures a [Hasher]. The zero value is a good one.
type HasherConfig struct {
	// Params are the costs of new hashes; default [DefaultParams]. Raising them upgrades each stored hash at its
	// owner's next login.
	Params Params
	// Concurrency is how many hashes run at once, so they hold Concurrency × Params.Memory at most, and the garbage of
	// earlier ones may take as much again until it is collected. Default GOMAXPROCS - 1, at least 1, so that a flood of
	// logins leaves a processor to everything else.
	Concurrency int
	// Queue is how many more may wait; the surplus gets ErrBusy at once. Default 128 for each that runs: with the
	// default parameters, what is served in about four seconds.
	Queue int
	// Wait is the longest anybody waits before ErrBusy; default 5 s.
	Wait time.Duration
	// Rand is the source of salts; default crypto/rand.
	Rand io.Reader
	// OnHash, if not nil, is told of each hash computed, for metrics and traces. It is called on the caller's goroutine and
	// with the caller's context, while the slot is held, and must not block.
	OnHash func(context.Context, HashEvent)
}

// HashEvent is one hash computed, whatever came of it.
type HashEvent struct {
	Scheme string // "argon2id" or "bcrypt"
	Params Params // of argon2id
	Cost   int    // of bcrypt
	Waited time.Duration
	Took   time.Duration
}

// HasherStats is a moment's view of a [Hasher].
type HasherStats struct {
	Running int    // hashes being computed
	Waiting int    // callers in the queue
	Refused uint64 // ErrBusy given since the start
}

// Hasher hashes passwords and checks them, a bounded number at a time. Methods may be called concurrently.
type Hasher struct {
	params Params
	pool   pool
	rand   io.Reader
	onHash func(context.Context, HashEvent)
	idle   storedHash // what is computed where there is no hash to check
}

// NewHasher checks the configuration and fills in its defaults.
func NewHasher(c HasherConfig) (*Hasher, error) {
	if c.Params == (Params{}) {
		c.Params = DefaultParams()
	}
	if err := c.Params.Validate(); err != nil {
		return nil, err
	}
	if c.Concurrency < 0 || c.Queue < 0 || c.Wait < 0 {
		return nil, errors.New("password hasher: concurrency, queue and wait must not be negative")
	}
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency()
	}
	if c.Queue == 0 {
		c.Queue = 128 * c.Concurrency
	}
	if c.Wait == 0 {
		c.Wait = 5 * time.Second
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.OnHash == nil {
		c.OnHash = func(context.Context, HashEvent) {}
	}
	return &Hasher{
		params: c.Params,
		pool:   pool{slots: make(chan struct{}, c.Concurrency), wait: c.Wait, maxQueue: int64(c.Queue)},
		rand:   c.Rand,
		onHash: c.OnHash,
		idle:   storedHash{params: c.Params, salt: make([]byte, saltSize), key: make([]byte, keySize)},
	}, nil
}

// Hash returns the PHC string to store for a password. It applies no [Rules] but refuses with ErrWeakPassword what
// cannot be hashed: nothing at all, more than [MaxPasswordBytes], invalid UTF-8, unassigned code points. ErrBusy as
// the package says.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	prepared, err := preparePassword(password)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrWeakPassword, err)
	}
	s := storedHash{params: h.params, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(h.rand, s.salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	err = h.run(ctx, s, func() {
		s.key = argon2.IDKey(prepared, s.salt, s.params.Time, s.params.Memory, s.params.Threads, keySize)
	})
	if err != nil {
		return "", err
	}
	return s.String(), nil
}

// Verify reports whether encoded, a stored hash, is of this password. It computes exactly one hash, at encoded's costs,
// whatever the answer. A hash that cannot be used gives an error that wraps ErrHash, after the work of one with the
// current parameters; an empty one is a hash that nothing matches. A password that [Hasher.Hash] would refuse matches
// nothing, and no work is done: that depends on the caller alone and tells nothing of the account.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (bool, error) {
	prepared, err := preparePassword(password)
	if err != nil {
		return false, nil //nolint:nilerr // the password matches nothing
	}
	s, unusable := h.idle, error(nil)
	if encoded != "" {
		if s, unusable = parseHash(encoded); unusable != nil {
			s = h.idle
		}
	}
	var match bool
	if err := h.run(ctx, s, func() { match = s.matches(prepared) }); err != nil {
		return false, err
	}
	return match && unusable == nil && encoded != "", unusable
}

// Outdated reports whether a hash should be replaced at the next login: another kind or other costs than the current
// ones.
func (h *Hasher) Outdated(encoded string) bool {
	s, err := parseHash(encoded)
	return err != nil || s.bcrypt != nil || s.params != h.params || len(s.salt) < saltSize || len(s.key) < keySize
}

// Decoy returns a hash that no password matches and that costs as much to verify as like, or as the current parameters
// when like is empty or unusable. It is for logins of unknown users: see [Hasher.Verify].
func (h *Hasher) Decoy(like string) string {
	s, err := parseHash(like)
	if err != nil {
		s = h.idle
	}
	return s.decoy().String()
}

// Stats returns what the pool is doing.
func (h *Hasher) Stats() HasherStats {
	return HasherStats{
		Running: len(h.pool.slots),
		Waiting: int(h.pool.queued.Load()),
		Refused: h.pool.refused.Load(),
	}
}

// run computes within the pool.
func (h *Hasher) run(ctx context.Context, s storedHash, compute func()) error {
	asked := time.Now()
	if err := h.pool.enter(ctx); err != nil {
		return err
	}
	defer h.pool.leave()
	begun := time.Now()
	compute()
	event := HashEvent{Scheme: "argon2id", Params: s.params, Waited: begun.Sub(asked), Took: time.Since(begun)}
	if s.bcrypt != nil {
		event.Scheme, event.Params, event.Cost = "bcrypt", Params{}, s.bcryptCost
	}
	h.onHash(ctx, event)
	return nil
}

// matches computes the hash of a prepared password and compares it in constant time.
func (s storedHash) matches(prepared []byte) bool {
	if s.bcrypt != nil {
		// bcrypt reads 72 bytes. A longer password would match by its beginning alone, so it matches nothing.
		const limit = 72
		whole := len(prepared) <= limit
		return bcrypt.CompareHashAndPassword(s.bcrypt, prepared[:min(limit, len(prepared))]) == nil && whole
	}
	key := argon2.IDKey(prepared, s.salt, s.params.Time, s.params.Memory, s.params.Threads, uint32(len(s.key)))
	return subtle.ConstantTimeCompare(key, s.key) == 1
}

// CheckHash returns nil when a stored hash can be verified, or an error that wraps ErrHash and says why not.
func CheckHash(encoded string) error {
	_, err := parseHash(encoded)
	return err
}

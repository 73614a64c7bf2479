package statuslist

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// DefaultSize is how many tokens a list has places for: large enough to hide one among many, and 128 KiB unpacked.
const DefaultSize = 1 << 20

// AllocatorConfig configures an [Allocator].
type AllocatorConfig struct {
	Register Register // required
	// URI is what the URIs of all lists begin with; "/" and the list's name follow. Required.
	URI string
	// Period is how far the ends of lists lie apart: a token goes to the first list that ends when it has expired, or
	// later. Best about the life of a token: shorter makes small lists, longer keeps the notes of dead tokens. Whole
	// seconds, required, and the same for the [Publisher].
	Period time.Duration
	Size   int          // of lists that begin; [DefaultSize] if zero
	Rand   io.Reader    // of the keys of new lists; crypto/rand if nil
	Log    *slog.Logger // nil discards
}

// Allocator gives tokens their places in status lists. Several may share a register, also such with other settings.
// Methods may be called concurrently.
type Allocator struct {
	cfg AllocatorConfig

	mu   sync.Mutex
	ends map[int64]*tip // by when lists end
}

// tip is what is known of the last of the lists that end at one time.
type tip struct {
	number int
	header Header // zero until a place in it was given out here
	slots  int    // at least so many places have been given out
}

// NewAllocator returns an allocator, or an error that names every setting to change.
func NewAllocator(c AllocatorConfig) (*Allocator, error) {
	if c.Size == 0 {
		c.Size = DefaultSize
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.URI = strings.TrimSuffix(c.URI, "/")
	var errs []error
	if c.Register == nil {
		errs = append(errs, errors.New("register: required"))
	}
	if c.URI == "" {
		errs = append(errs, errors.New("uri: required"))
	}
	if c.Period < time.Second || c.Period%time.Second != 0 {
		errs = append(errs, fmt.Errorf("period %v: must be whole seconds, one or more", c.Period))
	}
	if c.Size < 1 || c.Size > maxEntries {
		errs = append(errs, fmt.Errorf("size %d: must be from 1 to %d", c.Size, maxEntries))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("status allocator: %w", errors.Join(errs...))
	}
	return &Allocator{cfg: c, ends: make(map[int64]*tip)}, nil
}

// maxLists bounds how many lists may end at one time.
const maxLists = 1 << 16

// AllocateStatus implements [token.StatusAllocator]. It is one step in the register, or two when a list has just become
// full.
func (a *Allocator) AllocateStatus(ctx context.Context, c *token.Claims) (token.StatusReference, error) {
	id := ListID{Ends: listEnd(c.ExpiresAt, a.cfg.Period)}
	note := Note{
		Token:    revocation.IDOf(revocation.Token, c.ID),
		Session:  revocation.IDOf(revocation.Session, c.SessionID),
		Subject:  revocation.IDOf(revocation.Subject, c.Subject),
		Client:   revocation.IDOf(revocation.Client, c.ClientID),
		Key:      revocation.IDOf(revocation.Key, c.KeyID),
		IssuedAt: c.IssuedAt.Unix(),
	}
	fresh := Header{Size: a.cfg.Size}
	if _, err := io.ReadFull(a.cfg.Rand, fresh.Key[:]); err != nil {
		return token.StatusReference{}, fmt.Errorf("allocating a status: reading random bytes: %w", err)
	}
	for {
		before := a.tip(id.Ends)
		if id.Number = before.number; id.Number >= maxLists {
			return token.StatusReference{}, fmt.Errorf("allocating a status: %w: %d lists end at once", ErrFull, maxLists)
		}
		slot, h, err := a.cfg.Register.Append(ctx, id, fresh, note)
		switch {
		case errors.Is(err, ErrFull):
			a.leave(id)
		case err != nil:
			return token.StatusReference{}, fmt.Errorf("allocating a status: %w", err)
		case before.lost(slot, h):
			// The slot may be that of a token which lives, and whose note is gone.
			a.cfg.Log.WarnContext(ctx, "the register has lost notes of a status list: tokens in it may look valid when they are revoked",
				"list", id.String())
			a.leave(id)
		default:
			a.reach(id, slot, h)
			s, err := newShuffle(h.Key, h.Size)
			if err != nil {
				return token.StatusReference{}, err
			}
			return token.StatusReference{URI: a.cfg.URI + "/" + id.String(), Index: s.index(slot)}, nil
		}
	}
}

// listEnd is when the list of a token ends.
func listEnd(expires time.Time, period time.Duration) int64 {
	p := int64(period / time.Second)
	return (expires.Unix() + p - 1) / p * p
}

// lost tells whether a register that answers so has forgotten what it said before the question.
func (t tip) lost(slot int, h Header) bool {
	return t.slots > 0 && (h != t.header || slot < t.slots)
}

// tip returns what is known of the last list that ends then.
func (a *Allocator) tip(ends int64) tip {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.ends[ends]; t != nil {
		return *t
	}
	for old := range a.ends { // few: one for each period of a token's life
		if old < ends-int64(longestLife/time.Second) {
			delete(a.ends, old)
		}
	}
	a.ends[ends] = &tip{}
	return tip{}
}

// longestLife of a token, beyond which an allocator forgets lists that ended before those it fills.
const longestLife = token.DefaultMaxLife + time.Hour

// leave goes on with the list after id.
func (a *Allocator) leave(id ListID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.ends[id.Ends]; t != nil && t.number == id.Number {
		*t = tip{number: id.Number + 1}
	}
}

// reach remembers a place that was given out.
func (a *Allocator) reach(id ListID, slot int, h Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.ends[id.Ends]; t != nil && t.number == id.Number {
		t.header, t.slots = h, max(t.slots, slot+1)
	}
}

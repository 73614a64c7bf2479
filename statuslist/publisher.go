package statuslist

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// PublisherConfig configures a [Publisher]. All fields without a default are required.
type PublisherConfig struct {
	Register    Register
	Revocations revocation.Checker // whether a token is revoked: this process's mirror
	Keys        token.SigningKeys
	URI         string        // as for the [Allocator]
	Period      time.Duration // as for the [Allocator]
	TokenLife   time.Duration // the longest life of a token: no list ends later than that and a period from now
	Leeway      time.Duration // how long verifiers accept a token beyond its exp; default 30 s
	// TTL is how long verifiers may keep a list before they look for a newer one, and so about how late they notice
	// a revocation. Whole seconds.
	TTL time.Duration
	// Life is how long a list may be used at most, from its making: for so long verifiers get by without authd. At
	// least TTL, and no longer than TokenLife, as a key is kept for that long after it signed.
	Life  time.Duration
	Every time.Duration    // how often a list is made at most, however many ask; default a third of TTL
	Now   func() time.Time // default time.Now
	Log   *slog.Logger     // default: none
}

func (c *PublisherConfig) validate() error {
	var errs []error
	require := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	require(c.Register != nil, "register: required")
	require(c.Revocations != nil, "revocations: required")
	require(c.Keys != nil, "keys: required")
	require(c.URI != "", "uri: required")
	require(c.Period >= time.Second && c.Period%time.Second == 0, "period: must be whole seconds, one or more")
	require(c.TTL >= time.Second && c.TTL%time.Second == 0, "ttl: must be whole seconds, one or more")
	require(c.Life >= c.TTL && c.Life <= c.TokenLife, "life: must be at least the ttl, and at most the life of a token")
	require(c.Leeway >= 0 && c.Every >= 0, "leeway and every: must not be negative")
	return errors.Join(errs...)
}

// Publisher makes the lists that are asked for, signs them, and keeps them until they are due again. What it needs in
// memory are the notes of the lists that somebody asked for, [NoteSize] bytes a token, until those lists end. Methods
// may be called concurrently.
type Publisher struct {
	cfg PublisherConfig

	mu      sync.Mutex
	shelves map[ListID]*shelf
}

// Published is a list ready to be sent.
type Published struct {
	JWT  []byte
	Gzip []byte // the same, compressed: both layers of base64 vanish
	ETag string // of JWT, quoted
	// MaxAge is for how much longer the list may be kept, at least a second.
	MaxAge time.Duration

	issuedAt, expiresAt time.Time
}

// NewPublisher returns a publisher, or an error that names every setting to change.
func NewPublisher(c PublisherConfig) (*Publisher, error) {
	c.Leeway, c.Every = cmp.Or(c.Leeway, token.DefaultLeeway), cmp.Or(c.Every, c.TTL/3)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.URI = strings.TrimSuffix(c.URI, "/")
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("status publisher: %w", err)
	}
	return &Publisher{cfg: c, shelves: make(map[ListID]*shelf)}, nil
}

// List returns the list of that name, made less than Every ago or now. It is [ErrNotFound] where no such list exists or
// all its tokens are dead, and [ErrUnavailable] when no list can be made and there is none that still holds.
func (p *Publisher) List(ctx context.Context, name string) (*Published, error) {
	id, err := ParseListID(name)
	if err != nil {
		return nil, err
	}
	s, err := p.shelf(ctx, id)
	if err != nil {
		return nil, err
	}
	d, err := p.current(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("status list %s: %w", name, err)
	}
	sent := *d
	sent.MaxAge = max(d.issuedAt.Add(p.cfg.TTL).Sub(p.cfg.Now()).Truncate(time.Second), time.Second)
	return &sent, nil
}

// shelf returns the place for a list that exists. Names that somebody makes up cost a look into the register at most,
// and no memory.
func (p *Publisher) shelf(ctx context.Context, id ListID) (*shelf, error) {
	now := p.cfg.Now()
	last := now.Add(p.cfg.TokenLife + p.cfg.Period + deadAfter).Unix()
	if id.dead(now, p.cfg.Leeway) || id.Ends > last || id.Number >= maxLists {
		return nil, ErrNotFound
	}
	p.mu.Lock()
	s := p.shelves[id]
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if _, _, _, err := p.cfg.Register.Read(ctx, id, 0); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(now)
	if p.shelves[id] == nil {
		p.shelves[id] = newShelf(id)
	}
	return p.shelves[id], nil
}

// sweep forgets the lists whose tokens are dead.
func (p *Publisher) sweep(now time.Time) {
	for id := range p.shelves {
		if id.dead(now, p.cfg.Leeway) {
			delete(p.shelves, id)
		}
	}
}

// buildTimeout bounds the making of a list. Most of it is reading the notes of a list that was not asked for before.
const buildTimeout = 30 * time.Second

// current returns a list that was made less than Every ago. One request makes it; the others get the one before for as
// long as its ttl lasts, and wait after that.
func (p *Publisher) current(ctx context.Context, s *shelf) (*Published, error) {
	for {
		d, now := s.made.Load(), p.cfg.Now()
		if d != nil && now.Sub(d.issuedAt) < p.cfg.Every {
			return d, nil
		}
		if !s.tryLock() {
			if d != nil && now.Sub(d.issuedAt) < p.cfg.TTL {
				return d, nil
			}
			if err := s.lock(ctx); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
		if s.made.Load() == d { // otherwise it was made while this request waited
			err := p.remake(ctx, s)
			s.unlock()
			return p.last(ctx, s, err)
		}
		s.unlock()
	}
}

// last returns the list that was made last, whatever went wrong with a newer one, for as long as it holds.
func (p *Publisher) last(ctx context.Context, s *shelf, err error) (*Published, error) {
	d := s.made.Load()
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, ErrNotFound) || d == nil || !p.cfg.Now().Before(d.expiresAt):
		return nil, err
	}
	p.cfg.Log.WarnContext(ctx, "a status list could not be made anew", "list", s.id.String(), "err", err)
	return d, nil
}

// remake makes a list from what the register and the mirror say now. It goes on when the request that began it is
// abandoned, as others wait.
func (p *Publisher) remake(ctx context.Context, s *shelf) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildTimeout)
	defer cancel()
	now := p.cfg.Now() // before all else: what the list says is no older
	if err := s.read(ctx, p.cfg.Register); err != nil {
		return err
	}
	list, err := s.list(ctx, p.cfg.Revocations)
	if err != nil {
		return err
	}
	issued := now.Truncate(time.Second)
	t := Token{
		URI: p.cfg.URI + "/" + s.id.String(), IssuedAt: issued, ExpiresAt: issued.Add(p.cfg.Life), TTL: p.cfg.TTL, List: list,
	}
	raw, err := Sign(ctx, p.cfg.Keys, t)
	if err != nil {
		return err
	}
	d := &Published{JWT: []byte(raw), issuedAt: now, expiresAt: t.ExpiresAt}
	sum := sha256.Sum256(d.JWT)
	d.ETag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if d.Gzip, err = compress(d.JWT); err != nil {
		return err
	}
	s.made.Store(d)
	return nil
}

// compress applies gzip at its quickest: base64 of compressed bytes has nothing in it that a longer search would find.
func compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
	if err != nil {
		return nil, fmt.Errorf("compressing a status list: %w", err)
	}
	if _, err := z.Write(text); err != nil {
		return nil, fmt.Errorf("compressing a status list: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compressing a status list: %w", err)
	}
	return b.Bytes(), nil
}

// URIs returns the URIs of all lists with tokens that may live: the aggregation of section 9.
func (p *Publisher) URIs(ctx context.Context) ([]string, error) {
	now := p.cfg.Now()
	uris := []string{}
	last := listEnd(now.Add(p.cfg.TokenLife), p.cfg.Period)
	for ends := listEnd(now.Add(-p.cfg.Leeway), p.cfg.Period); ends <= last; ends += int64(p.cfg.Period / time.Second) {
		for id := (ListID{Ends: ends}); id.Number < maxLists; id.Number++ {
			_, err := p.shelf(ctx, id)
			if errors.Is(err, ErrNotFound) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("listing status lists: %w", err)
			}
			uris = append(uris, p.cfg.URI+"/"+id.String())
		}
	}
	return uris, nil
}

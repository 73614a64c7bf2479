package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

// chronicle is what became of the ring, and whether it was lawful.
type chronicle struct {
	t     *testing.T
	store keys.Store
	load  *load
	began time.Time

	mu       sync.Mutex
	ring     keys.Ring // as seen last
	version  keys.Version
	versions map[keys.Version]string // all that were seen, and what was in them
	holders  map[keys.Term]string
	lives    map[string]*keyLife // of every key that was ever in the ring
	signed   []string            // the keys that were active, in turn
	claimed  keys.Term           // by the test, when it was answered

	published map[string]string // every kid that any JWKS had, and who published it first
}

// keyLife is what is known of one key.
type keyLife struct {
	state           keys.State
	prepared, since time.Time // stamps: of the first state, and of the present one
	gone            bool
}

func newChronicle(t *testing.T, store keys.Store, load *load) *chronicle {
	t.Helper()
	return &chronicle{
		t: t, store: store, load: load, began: time.Now(), versions: make(map[keys.Version]string),
		holders: make(map[keys.Term]string), lives: make(map[string]*keyLife), published: make(map[string]string),
	}
}

// follow reads the ring whenever the store announces a change, and often besides.
func (c *chronicle) follow() {
	ctx := c.t.Context()
	for ctx.Err() == nil {
		changes, err := c.store.Watch(ctx)
		if err != nil {
			pauseFor(ctx, 50*time.Millisecond)
			continue
		}
		for open := true; open && ctx.Err() == nil; {
			select {
			case _, open = <-changes:
			case <-time.After(50 * time.Millisecond):
			}
			c.look(ctx)
		}
	}
}

func (c *chronicle) look(ctx context.Context) {
	c.mu.Lock()
	claimed := c.claimed
	c.mu.Unlock()
	asked := time.Now()
	ring, version, err := c.store.Load(ctx)
	if err != nil {
		return // the backend hangs
	}
	read := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ring.Term < claimed {
		c.t.Errorf("a deposed leader's write was taken: the ring is of term %d, after a claim of term %d", ring.Term, claimed)
		c.claimed = 0 // said once
	}
	if version != c.version {
		for _, broken := range c.check(read, ring, version) {
			c.t.Errorf("after %v the ring is not lawful: %s\nit was %s\nand is %s", read.Sub(c.began), broken, contentOf(c.ring), contentOf(ring))
		}
		c.note(ring, version)
	}
	for _, token := range c.load.alive(asked, read.Add(-fireLeeway)) {
		if l := c.lives[token.kid]; l == nil || l.gone {
			c.t.Errorf("a token that lives until %v has no key in the ring, which is %s", token.expires, contentOf(ring))
		}
	}
}

// noteClaim says that the ring was claimed, in case that nobody looks before it changes again.
func (c *chronicle) noteClaim(term keys.Term) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed, c.holders[term] = term, usurper
}

// check compares a version of the ring with the one before.
func (c *chronicle) check(now time.Time, ring keys.Ring, version keys.Version) (broken []string) {
	require := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	require(ring.Epoch != "" || c.ring.Epoch == "", "it is empty")
	require(c.ring.Epoch == "" || ring.Epoch == c.ring.Epoch, "another epoch")
	require(ring.Term >= c.ring.Term, "term %d after term %d", ring.Term, c.ring.Term)
	holder, known := c.holders[ring.Term]
	require(!known || holder == ring.Holder, "term %d is held by %q and by %q", ring.Term, holder, ring.Holder)
	content, known := c.versions[version]
	require(!known, "version %s was replaced, and is back; then it was %s", version, content)
	count := make(map[keys.State]int)
	for _, k := range ring.Keys {
		count[k.State]++
		broken = append(broken, c.checkKey(now, k)...)
	}
	require(ring.Epoch == "" || count[keys.Active] == 1, "%d active keys", count[keys.Active])
	require(count[keys.Prepared] <= 1, "%d standbys", count[keys.Prepared])
	require(len(ring.MACs) >= len(c.ring.MACs), "a MAC key has gone")
	for kid, l := range c.lives {
		if !l.gone && !strings.Contains(contentOf(ring), kid) {
			require(l.state == keys.Retired && now.Sub(l.since) > fireRetiredFor, "%s has gone, and was %s since %v", kid, l.state, l.since)
		}
	}
	return broken
}

// checkKey compares one key with what it was.
func (c *chronicle) checkKey(now time.Time, k keys.Key) (broken []string) {
	order := map[keys.State]int{keys.Prepared: 1, keys.Active: 2, keys.Retired: 3, keys.Revoked: 4}
	l := c.lives[k.ID]
	switch {
	case l == nil:
		if k.State != keys.Prepared && c.ring.Epoch != "" {
			broken = append(broken, fmt.Sprintf("%s begins as %s", k.ID, k.State))
		}
	case l.gone:
		broken = append(broken, k.ID+" had gone, and is back")
	case order[k.State] < order[l.state]:
		broken = append(broken, fmt.Sprintf("%s was %s and is %s", k.ID, l.state, k.State))
	case k.State == keys.Active && l.state == keys.Prepared && now.Sub(l.prepared) < firePublishAhead:
		broken = append(broken, fmt.Sprintf("%s signs, and is published since %v", k.ID, l.prepared))
	}
	return broken
}

// note remembers a version of the ring.
func (c *chronicle) note(ring keys.Ring, version keys.Version) {
	for _, l := range c.lives {
		l.gone = true
	}
	for _, k := range ring.Keys {
		l := c.lives[k.ID]
		if l == nil {
			l = new(keyLife)
			c.lives[k.ID] = l
		}
		if l.state, l.since, l.gone = k.State, k.Since, false; k.State == keys.Prepared {
			l.prepared = k.Since
		}
		if k.State == keys.Active && (len(c.signed) == 0 || c.signed[len(c.signed)-1] != k.ID) {
			c.signed = append(c.signed, k.ID)
		}
	}
	if ring.Term > 0 {
		c.holders[ring.Term] = ring.Holder
	}
	c.versions[version] = contentOf(ring)
	c.ring, c.version = ring, version
}

// contentOf is what may be seen of a ring.
func contentOf(r keys.Ring) string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %s, term %d held by %s:", r.Epoch, r.Term, r.Holder)
	for _, k := range r.Keys {
		fmt.Fprintf(&b, " %s %s since %s,", k.ID, k.State, k.Since.Format("15:04:05.000"))
	}
	return b.String()
}

// watchJWKS checks that an authd publishes the key that signs, whenever it publishes anything.
func (c *chronicle) watchJWKS(s *slot) {
	ctx := c.t.Context()
	for pauseFor(ctx, 200*time.Millisecond) {
		server := s.current()
		if server == nil {
			continue
		}
		active := c.active()
		var set struct{ Keys []struct{ Kid string } }
		status, err := c.load.front.call(ctx, 2*time.Second, http.MethodGet, server.URL+"/.well-known/jwks.json", nil, &set)
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
			continue
		case status != http.StatusOK:
			c.t.Errorf("authd %d answers %d for its JWKS", s.n, status)
			continue
		}
		has := false
		c.mu.Lock()
		for _, k := range set.Keys {
			has = has || k.Kid == active
			if _, known := c.published[k.Kid]; !known {
				c.published[k.Kid] = fmt.Sprintf("authd %d after %v", s.n, time.Since(c.began))
			}
		}
		if !has {
			c.t.Errorf("authd %d does not publish %s, which signs: %v", s.n, active, set.Keys)
		}
		c.mu.Unlock()
	}
}

// checkPublished checks that nobody has published a key that was in no ring.
func (c *chronicle) checkPublished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kid, by := range c.published {
		if c.lives[kid] == nil {
			c.t.Errorf("%s published %s, which no ring had", by, kid)
		}
	}
}

// active returns the key that signs; empty before there is a ring.
func (c *chronicle) active() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.signed) == 0 {
		return ""
	}
	return c.signed[len(c.signed)-1]
}

func (c *chronicle) rotations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.signed) - 1
}

// leaderChanges is how often an authd has claimed the ring after another leadership.
func (c *chronicle) leaderChanges() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := -1
	for _, holder := range c.holders {
		if holder != usurper {
			n++
		}
	}
	return n
}

// count is how many versions of the ring were seen.
func (c *chronicle) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.versions)
}

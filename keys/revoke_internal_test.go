package keys

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// cellInMemory is a [Cell] that remembers every value.
type cellInMemory struct{ values [][]byte }

func (c *cellInMemory) version() Version {
	if len(c.values) == 0 {
		return ""
	}
	return Version(rune('a' + len(c.values)))
}

func (c *cellInMemory) Get(context.Context) ([]byte, Version, error) {
	if len(c.values) == 0 {
		return nil, "", nil
	}
	return c.values[len(c.values)-1], c.version(), nil
}

func (c *cellInMemory) Swap(_ context.Context, old Version, value []byte) (Version, error) {
	if old != c.version() {
		return "", ErrStale
	}
	c.values = append(c.values, value)
	return c.version(), nil
}

func (c *cellInMemory) Watch(context.Context) (<-chan Version, error) { return nil, ErrUnavailable }

// Without any standby one is made first: no ring is ever written that has keys but none to sign with.
func TestRevokeWithoutAStandby(t *testing.T) {
	ctx, now := t.Context(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cell, codec := new(cellInMemory), NewCodec()
	r, err := NewRotator(RotatorConfig{
		Store: NewStore(cell, codec), Policy: Policy{}.WithDefaults(), Holder: "leader",
		Revocations: KeyRevokerFunc(func(context.Context, string, time.Time) error { return nil }),
		Now:         func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	term, err := r.claim(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l := &leadership{r: r, term: term, log: slog.New(slog.DiscardHandler), announced: make(map[string]bool)}
	err = l.change(ctx, func(now time.Time, ring *Ring) (bool, error) {
		next, err := r.cfg.Policy.Apply(now, *ring, r.cfg.Policy.Next(now, *ring))
		*ring = next
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	ring, _, _, err := l.load(ctx)
	if err != nil || len(ring.Keys) != 1 {
		t.Fatalf("want a ring of one key: %v, %v", ring, err)
	}

	var res RevokeResult
	if err := l.revoke(ctx, ring.Keys[0].ID, &res); err != nil {
		t.Fatal(err)
	}
	if res.State != Active || res.UnknownFor != r.cfg.Policy.spreadFor() {
		t.Errorf("got %+v, want all of %v", res, r.cfg.Policy.spreadFor())
	}
	for i, value := range cell.values {
		ring, err := codec.Unmarshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ring.active(); !ok && ring.Epoch != "" {
			t.Errorf("write %d has no key to sign with: %v", i, ring)
		}
	}
	if ring, _, _, err := l.load(ctx); err != nil || ring.Keys[1].State != Active || ring.Keys[1].ID != res.Successor {
		t.Errorf("at last: %v, %v", ring, err)
	}
}

package tracing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/authd-project/authd/keys"
)

// Rotation is the store of the key ring as the leader sees it. A pass of the leader that changes nothing, which is nearly
// every one, is in no trace; so its trace begins, backdated, with its first change.
type Rotation struct {
	keys.Store
	t *Tracer

	claimed trace.SpanContext // of the term that is led; used by the leader's goroutine
}

// Rotation returns the store for a [keys.Rotator], and with [Rotation.Pass] what its configuration needs besides.
func (t *Tracer) Rotation(s keys.Store) *Rotation { return &Rotation{Store: s, t: t} }

// pass is one pass of the leader. It belongs to the leader's goroutine.
type pass struct {
	t     *Tracer
	begun time.Time
	links []trace.Link
	root  atomic.Pointer[root] // nil before the first change; others read it, as clients of stores dial in the background

	look *look // the last one at the ring
}

// root is the first span of a pass.
type root struct {
	trace.Span
	ctx context.Context // with the span, and nothing else
}

// look is one look at the ring.
type look struct {
	begun, ended time.Time
	told         bool // in a span
	ring         keys.Ring
}

type passKey struct{}

func passOf(ctx context.Context) *pass {
	p, _ := ctx.Value(passKey{}).(*pass)
	return p
}

// withPass puts the span of the leader's pass into its context, where it has begun after the context was made.
func withPass(ctx context.Context) context.Context {
	if p := passOf(ctx); p != nil && !trace.SpanContextFromContext(ctx).IsValid() {
		if r := p.root.Load(); r != nil {
			return trace.ContextWithSpan(ctx, r.Span)
		}
	}
	return ctx
}

// changes begins the trace of a pass, when it is about to change something.
func (t *Tracer) changes(ctx context.Context) {
	if p := passOf(ctx); p != nil {
		p.begin()
	}
}

// begin begins the trace, if that is not done, and tells of the last look at the ring.
func (p *pass) begin() *root {
	r := p.root.Load()
	if r == nil {
		ctx, span := p.t.tracer.Start(context.Background(), spanRotation, trace.WithTimestamp(p.begun), trace.WithLinks(p.links...))
		r = &root{span, ctx}
		p.root.Store(r)
	}
	if p.look != nil && !p.look.told {
		p.look.told = true
		p.t.past(r.ctx, spanRingLoad, p.look.begun, p.look.ended)
	}
	return r
}

// Pass lets one pass over the ring be seen as one; see [keys.RotatorConfig].
func (r *Rotation) Pass(ctx context.Context, work func(context.Context) error) error {
	p := &pass{t: r.t, begun: time.Now()}
	if r.claimed.IsValid() {
		p.links = []trace.Link{{SpanContext: r.claimed}}
	}
	err := work(context.WithValue(ctx, passKey{}, p))
	if r := p.root.Load(); r != nil {
		end(r.Span, err)
	}
	return err
}

// Claim implements [keys.Store].
func (r *Rotation) Claim(ctx context.Context, holder string) (keys.Term, error) {
	p := passOf(ctx)
	if p != nil {
		p.links = nil // they lead to the term before
		p.begin()
	}
	ctx, span := r.t.child(ctx, spanRingClaim)
	term, err := r.Store.Claim(ctx, holder)
	if err == nil {
		span.SetAttributes(termAttr(term))
		if p != nil {
			root := p.root.Load()
			root.SetAttributes(termAttr(term))
			r.claimed = root.SpanContext()
		}
	}
	end(span, err)
	return term, err
}

// Load implements [keys.Store].
func (r *Rotation) Load(ctx context.Context) (keys.Ring, keys.Version, error) {
	p := passOf(ctx)
	begun := time.Now()
	ctx, span := r.t.child(ctx, spanRingLoad) // of a pass only once it has changed something
	ring, version, err := r.Store.Load(ctx)
	end(span, err)
	if p != nil && err == nil {
		p.look = &look{begun: begun, ended: time.Now(), told: p.root.Load() != nil, ring: ring}
	}
	return ring, version, err
}

// Update implements [keys.Store].
func (r *Rotation) Update(ctx context.Context, term keys.Term, v keys.Version, next keys.Ring) (keys.Version, error) {
	changed := []attribute.KeyValue{termAttr(term)}
	if p := passOf(ctx); p != nil {
		root := p.begin()
		root.SetAttributes(termAttr(term))
		if p.look != nil {
			changed = append(changed, attribute.StringSlice(Changes, ringChanges(p.look.ring, next)))
			r.t.past(root.ctx, spanRingPlan, p.look.ended, time.Now(), changed...)
		}
	}
	ctx, span := r.t.child(ctx, spanRingWrite, changed...)
	r.t.ring.note(term, trace.SpanContextFromContext(ctx))
	version, err := r.Store.Update(ctx, term, v, next)
	end(span, err)
	return version, err
}

// ringChanges says of each key that is not what it was, what it has become: "KID prepared", "KID confirmed", "KID gone". The
// keys of refresh tokens' MACs are "mac 1".
func ringChanges(before, after keys.Ring) []string {
	return slices.Concat(
		changes(before.Keys, after.Keys, func(k keys.Key) (string, keys.State, time.Time) { return k.ID, k.State, k.Since }),
		changes(before.MACs, after.MACs, func(k keys.MACKey) (string, keys.State, time.Time) {
			return fmt.Sprintf("mac %d", k.ID), k.State, k.Since
		}),
	)
}

func changes[K any](before, after []K, of func(K) (id string, state keys.State, since time.Time)) []string {
	find := func(list []K, id string) int {
		return slices.IndexFunc(list, func(k K) bool { have, _, _ := of(k); return have == id })
	}
	var changed []string
	for _, k := range after {
		id, state, since := of(k)
		i := find(before, id)
		if i < 0 {
			changed = append(changed, id+" "+string(state))
			continue
		}
		switch _, was, then := of(before[i]); {
		case was != state:
			changed = append(changed, id+" "+string(state))
		case !then.Equal(since):
			changed = append(changed, id+" confirmed")
		}
	}
	for _, k := range before {
		if id, _, _ := of(k); find(after, id) < 0 {
			changed = append(changed, id+" gone")
		}
	}
	return changed
}

func termAttr(t keys.Term) attribute.KeyValue { return attribute.Int64(Term, int64(t)) }

// ringWrite is the span of the last write of the ring by this process, for when the write comes back.
type ringWrite struct {
	mu   sync.Mutex
	term keys.Term
	span trace.SpanContext
}

func (w *ringWrite) note(term keys.Term, span trace.SpanContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.term, w.span = term, span
}

// of returns the span if a ring of this term is that write; a term is of one process.
func (w *ringWrite) of(term keys.Term) (trace.SpanContext, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.span, w.term == term && w.span.IsValid()
}

// Published returns the store for a [keys.View], with a span for each change of the ring that this process begins to publish
// and to sign by: below the write, where it was this process's, and as a trace of its own where another one leads.
func (t *Tracer) Published(s keys.Store) keys.Store { return &published{Store: s, t: t} }

type published struct {
	keys.Store
	t *Tracer

	mu      sync.Mutex
	version keys.Version // as last seen
	ring    keys.Ring
}

// Load implements [keys.Store].
func (p *published) Load(ctx context.Context) (keys.Ring, keys.Version, error) {
	begun := time.Now()
	ring, version, err := p.Store.Load(ctx)
	if err == nil {
		p.saw(begun, ring, version)
	}
	return ring, version, err
}

func (p *published) saw(begun time.Time, ring keys.Ring, version keys.Version) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written, ours := p.t.ring.of(ring.Term)
	seen, same := p.version != "" || ours, p.version == version // what is there at the start was published before
	changes := ringChanges(p.ring, ring)
	p.version, p.ring = version, ring
	if !seen || same || len(changes) == 0 { // a claim alone publishes nothing
		return
	}
	ctx := context.Background()
	if ours {
		ctx = trace.ContextWithSpanContext(ctx, written)
	}
	_, span := p.t.tracer.Start(ctx, spanRingPublish, trace.WithTimestamp(begun),
		trace.WithAttributes(termAttr(ring.Term), attribute.StringSlice(Changes, changes)))
	span.End()
}

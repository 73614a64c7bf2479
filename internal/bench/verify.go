package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

const (
	// seenBatch look-ups make one turn: each takes well under a microsecond, and the first ones find the processor's
	// caches as the other contender left them.
	seenBatch = 20_000
	// largeCache holds the larger number of live tokens with room to spare.
	largeCache = 384 << 20
)

// names of the contenders that budgets are about.
const (
	nameBare = "bare signature check"
	nameNew  = "authd, new token"
	namePeer = "golang-jwt, strict"
)

func nameSeen(n int) string { return fmt.Sprintf("authd, seen token, %d live", n) }

// verification is what was measured for one algorithm.
type verification struct {
	alg     string
	results []result
	// The two sizes of the cache of tokens seen before; many is 0 where it was not measured.
	few, many int
}

func measureVerify(ctx context.Context, e effort) ([]verification, error) {
	var all []verification
	for _, alg := range token.Algorithms() {
		v, err := measureAlgorithm(ctx, alg, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", alg, err)
		}
		all = append(all, v)
	}
	return all, nil
}

func measureAlgorithm(ctx context.Context, alg string, e effort) (verification, error) {
	f, err := newFixture(ctx, alg, (e.rounds+allocationTurns)*e.batch)
	if err != nil {
		return verification{}, err
	}
	keys, stopKeys, err := f.keys(ctx)
	if err != nil {
		return verification{}, err
	}
	mirror, stopMirror := newMirror(ctx, sampleEntries(10_000))
	if alg == "RS256" {
		e.many = 0 // to sign so many would take minutes, and what a hit costs does not depend on the algorithm
	}
	results, err := f.measure(ctx, e, keys, mirror)
	if err := errors.Join(err, stopKeys(), stopMirror()); err != nil {
		return verification{}, err
	}
	return verification{alg: alg, results: results, few: e.few, many: e.many}, nil
}

// measure compares new tokens first, and then seen ones, whose many live tokens must not be in the way before.
func (f *fixture) measure(
	ctx context.Context, e effort, keys token.VerificationKeys, revocations revocation.Checker,
) ([]result, error) {
	newVerifier := func(cacheBytes int) (*token.Verifier, error) {
		return token.NewVerifier(token.VerifierConfig{
			Issuer: issuer, Audience: []string{audience}, Algorithms: []string{f.alg}, Keys: keys,
			Revocations: revocations, CacheBytes: cacheBytes,
		})
	}
	verifier, err := newVerifier(token.DefaultCacheBytes)
	if err != nil {
		return nil, err
	}
	contenders, err := f.contenders(ctx, verifier, e.batch)
	if err != nil {
		return nil, err
	}
	growHeap()
	results, err := measure(e.rounds, contenders)
	if err != nil {
		return nil, err
	}

	contenders = nil
	for _, n := range []int{e.few, e.many} {
		if n == 0 {
			continue
		}
		size := token.DefaultCacheBytes
		if n == e.many {
			size = largeCache
		}
		if verifier, err = newVerifier(size); err != nil {
			return nil, err
		}
		c, err := f.seen(ctx, verifier, n)
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, c)
	}
	runtime.GC()
	seen, err := measure(e.rounds, contenders)
	return append(results, seen...), err
}

// growHeap lets the program use memory that it has used before, as one does that has run for a while: fresh pages cost
// those the most who keep what they allocate.
func growHeap() {
	const size = 64 << 20
	ballast := make([][]byte, 0, size>>10)
	for range cap(ballast) {
		page := make([]byte, 1<<10)
		page[0] = 1
		ballast = append(ballast, page)
	}
	runtime.KeepAlive(ballast)
	runtime.GC()
}

// contenders verify tokens that they have not seen before.
func (f *fixture) contenders(ctx context.Context, verifier *token.Verifier, batch int) ([]contender, error) {
	floor, err := bare(f)
	if err != nil {
		return nil, err
	}
	find, err := withKeyfunc(f)
	if err != nil {
		return nil, err
	}
	parse, err := jwx(f)
	if err != nil {
		return nil, err
	}
	contenders := []contender{
		{name: nameBare, do: floor},
		{name: nameNew, do: func(i int) error {
			_, err := verifier.Verify(ctx, f.tokens[i]) // each comes once
			return err
		}},
		{name: namePeer, do: golangJWT(f, knownKey(f))},
		{name: "golang-jwt + keyfunc", do: golangJWT(f, find)},
		{name: "go-jose", do: goJose(f)},
		{name: "jwx", do: parse},
		{name: "go-oidc", do: goOIDC(ctx, f)},
	}
	for i := range contenders {
		contenders[i].batch = batch
	}
	return contenders, nil
}

// seen is authd with n live tokens in its cache, which come in an order without pattern.
func (f *fixture) seen(ctx context.Context, verifier *token.Verifier, n int) (contender, error) {
	tokens, err := f.issue(ctx, n)
	if err != nil {
		return contender{}, err
	}
	for _, raw := range tokens {
		if _, err := verifier.Verify(ctx, raw); err != nil {
			return contender{}, fmt.Errorf("filling the cache: %w", err)
		}
	}
	// As from a request: a server has just copied the token when it verifies it.
	var copies [piece][]byte
	var read [piece]string
	return contender{
		name: nameSeen(n),
		ready: func(i, count int) {
			const prime = 1_000_003
			for j := range count {
				buf := append(copies[j][:0], tokens[(i+j)*prime%n]...)
				copies[j], read[(i+j)%piece] = buf, unsafe.String(&buf[0], len(buf))
			}
		},
		do: func(i int) error {
			_, err := verifier.Verify(ctx, read[i%piece])
			return err
		},
		batch: seenBatch,
	}, nil
}

func verifyTable(all []verification) table {
	t := table{columns: []string{"verifying", "alg", clockName + "/token", "÷ bare", "allocations"}}
	for _, v := range all {
		floor := v.find(nameBare)
		for _, r := range v.results {
			t.add(r.name, v.alg, fmt.Sprintf("%.0f", r.ns), fmt.Sprintf("%.3f", r.ns/floor.ns), fmt.Sprintf("%.0f", r.allocs))
		}
	}
	return t
}

// find returns the result of that name; every run has those that budgets ask for.
func (v verification) find(name string) result {
	for _, r := range v.results {
		if r.name == name {
			return r
		}
	}
	return result{}
}

func (v verification) budgets() []budget {
	most := map[string]float64{"ES256": 1.06, "EdDSA": 1.10, "RS256": 1.15}
	floor, ours, peer := v.find(nameBare), v.find(nameNew), v.find(namePeer)
	budgets := []budget{
		{what: v.alg + ": new token ÷ bare check", have: ours.ns / floor.ns, limit: most[v.alg], unit: "x"},
		{
			what: v.alg + ": beyond the check ÷ golang-jwt's",
			have: (ours.ns - floor.ns) / (peer.ns - floor.ns), limit: 1.0 / 3, unit: "x",
		},
		{what: v.alg + ": allocations beyond the check", have: ours.allocs - floor.allocs, limit: 15},
		seenBudget(v.alg, v.find(nameSeen(v.few)), 300),
		{what: v.alg + ": allocations, seen token", have: v.find(nameSeen(v.few)).allocs},
	}
	if v.many != 0 {
		budgets = append(budgets, seenBudget(v.alg, v.find(nameSeen(v.many)), 1000))
	}
	return budgets
}

func seenBudget(alg string, r result, most float64) budget {
	return budget{what: alg + ": " + r.name, have: r.ns, limit: most, unit: "ns"}
}

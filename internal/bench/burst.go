package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/authd-project/authd/revocation"
)

// burstRate is how many revocations a second a mirror takes in while it is asked.
const burstRate = 100_000

// burst is how long single checks took, in a mirror that was left alone and in one that took in revocations.
type burst struct {
	alone, beside []time.Duration // sorted
	rate          float64         // revocations a second that the second one really took in
}

// measureBurst asks on one core and writes on another.
func measureBurst(ctx context.Context, e effort) (burst, error) {
	m, stop := newMirror(ctx, sampleEntries(e.entries))
	var b burst
	var err error
	if b.alone, err = askFor(m, e.burstTime); err == nil {
		var written int
		started := time.Now()
		stopWriter := background(ctx, func(ctx context.Context) error {
			written = revokeSteadily(ctx, m)
			return nil
		})
		b.beside, err = askFor(m, e.burstTime)
		stopWriter()
		b.rate = float64(written) / time.Since(started).Seconds()
	}
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	return b, err
}

// revokeSteadily revokes sessions, a millisecond's worth at a time, until ctx ends, and tells how many.
func revokeSteadily(ctx context.Context, m *revocation.Mirror) (written int) {
	const piece = burstRate / 1000
	for began := time.Now(); ctx.Err() == nil; {
		if time.Since(began) < time.Duration(written)*time.Second/burstRate {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		m.Merge(sampleSessions(piece, nil)...)
		written += piece
	}
	return written
}

// askFor returns how long each check of that time took, reading the clock included.
func askFor(m *revocation.Mirror, d time.Duration) ([]time.Duration, error) {
	claims := make([]revocation.Claims, 1<<12)
	for i := range claims {
		claims[i] = revocation.Claims{
			Token: randomID(), Session: randomID(), Subject: randomID(), Client: randomID(), Key: randomID(),
			IssuedAt: time.Now().Unix(),
		}
	}
	took := make([]time.Duration, 0, d/(50*time.Nanosecond))
	for began, last := time.Now(), time.Now(); last.Sub(began) < d; {
		if err := m.CheckAt(&claims[len(took)%len(claims)], last); err != nil {
			return nil, fmt.Errorf("a token that is not revoked: %w", err)
		}
		now := time.Now()
		took = append(took, now.Sub(last))
		last = now
	}
	slices.Sort(took)
	return took, nil
}

func (b burst) table() table {
	t := table{columns: []string{"mirror, asked without pause", "revocations/s", "checks", "p50 ns", "p99 ns", "p99.9 ns", "max µs"}}
	add := func(what string, rate float64, took []time.Duration) {
		at := func(q float64) string { return fmt.Sprint(quantile(took, q).Nanoseconds()) }
		t.add(what, fmt.Sprintf("%.0f", rate), fmt.Sprint(len(took)), at(.5), at(.99), at(.999),
			significant(took[len(took)-1].Seconds()*1e6))
	}
	add("left alone", 0, b.alone)
	add("in a burst of revocations", b.rate, b.beside)
	return t
}

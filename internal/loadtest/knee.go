package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bounds say what a server must hold to bear a load.
type Bounds struct {
	P99      time.Duration // of each operation but login
	LoginP99 time.Duration // of logins, which cost a hash each
	Errors   float64       // share of requests that are not answered as asked, 429 and 503 included
}

// Knee runs the load at rates that the search proposes, and returns the report of the highest that was borne, or of the
// last if none was, with all steps. What overload does to requests is no failure here; everything else is.
func (t *Target) Knee(ctx context.Context, l Load, s *Search, b Bounds) (best *Report, err error) {
	var steps []Step
	failures := map[string]int64{}
	var beyond int64
	for rate, more := s.Next(); more && ctx.Err() == nil; rate, more = s.Next() {
		l.Rate = rate
		r, err := t.Run(ctx, l)
		if err != nil {
			if best != nil && ctx.Err() != nil {
				break
			}
			return nil, fmt.Errorf("at %.0f requests/s: %w", rate, err)
		}
		step := r.step()
		step.Borne = b.hold(step) && r.overloads() == 0
		if r.Interrupted { // it says too little
			if best == nil {
				best = r
			}
			break
		}
		steps = append(steps, step)
		s.Bears(step.Borne)
		if !step.Borne {
			maps.Copy(failures, r.Failures)
			beyond += r.Failed() - r.overloads()
		}
		if step.Borne || best == nil || !best.Steps[0].Borne {
			best = r
			best.Steps = []Step{step}
		}
	}
	if best != nil {
		best.Steps, best.Interrupted = steps, ctx.Err() != nil
		best.finishSearch(failures, beyond)
	}
	return best, ctxError(ctx, best)
}

func ctxError(ctx context.Context, best *Report) error {
	if best == nil {
		return ctx.Err()
	}
	return nil
}

func (b Bounds) hold(s Step) bool {
	return s.P99 <= b.P99.Seconds()*1000 && s.Login <= b.LoginP99.Seconds()*1000 && s.Errors <= b.Errors
}

// overload is what too high a rate does to requests, by itself no fault of the server.
func overload() []outcome { return []outcome{timedOut, notBegun, unreachable, broken} }

// overloads counts the failures that come of too high a rate.
func (r *Report) overloads() (n int64) {
	for _, op := range r.Operations {
		for _, o := range overload() {
			n += op.Outcomes[string(o)]
		}
	}
	return n
}

// finishSearch adds the failures of runs beyond the knee, and forgives this one if it was beyond it as well.
func (r *Report) finishSearch(failures map[string]int64, beyond int64) {
	r.Beyond = beyond
	if beyond > 0 {
		r.Failures = failures
	}
	if slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Borne }) {
		return
	}
	r.Forgiven = r.Failed() - r.Beyond
}

func sortedSteps(steps []Step) []Step {
	return slices.SortedFunc(slices.Values(steps), func(a, b Step) int { return cmp.Compare(a.Rate, b.Rate) })
}

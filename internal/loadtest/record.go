package loadtest

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// outcome is what became of a request. Its zero value is success.
type outcome string

// Outcomes that are counted apart from failures: a server says so when it is asked for more than it bears or allows.
const (
	good        outcome = ""
	limited     outcome = "429"
	unavailable outcome = "503"
	noSession   outcome = "no session" // at hand: nothing was sent
)

// Outcomes that are failures. So is every other.
const (
	unauthorized outcome = "401"
	timedOut     outcome = "timeout"
	unreachable  outcome = "unreachable"
	broken       outcome = "broken connection"
	unreadable   outcome = "answer not understood"
	notBegun     outcome = "never begun" // due, but too many before it were still waiting
	accepted     outcome = "accepted after logout"
)

func (o outcome) failed() bool {
	switch o {
	case good, limited, unavailable, noSession:
		return false
	}
	return true
}

// Histograms count nanoseconds to three digits, from 100 ns to two minutes; what took longer counts as that.
const (
	shortest = 100
	longest  = int64(2 * time.Minute)
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, 3) }

func add(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), longest)) // in range, so it is no error
}

// tally counts what became of one operation's requests.
type tally struct {
	due      *hdrhistogram.Histogram // from when they were due, of those that were good
	sent     *hdrhistogram.Histogram // from when they were sent
	outcomes map[outcome]int64
}

func newTally() *tally {
	return &tally{due: newHistogram(), sent: newHistogram(), outcomes: map[outcome]int64{}}
}

// recorder collects what a run finds. Its methods may be called concurrently.
type recorder struct {
	mu       sync.Mutex
	ops      [opCount]*tally
	refusals map[string]*refusal
	interval *tally // of all operations but logins and those without a network, since it was last taken
	kept     int64  // refreshes that were answered with the same token again, within the grace
	rotated  int64
	waited   int64            // requests for which no connection was free when they were due
	held     int64            // questions about sessions that had ended, all refused
	examples map[string]int64 // what failures looked like
}

// refusal is how one kind of verifier heard of logouts.
type refusal struct {
	late  *hdrhistogram.Histogram // from the answer to a logout to the refusal of its token
	after int64                   // still accepted when the bound was over
	blind int64                   // the verifier could not tell in time, and so accepted nothing
}

func newRecorder() *recorder {
	r := &recorder{refusals: map[string]*refusal{}, interval: newTally(), examples: map[string]int64{}}
	for op := range r.ops {
		r.ops[op] = newTally()
	}
	return r
}

// result is one request, done.
type result struct {
	op                Op
	outcome           outcome
	detail            string // of a failure; without secrets
	fromDue, fromSent time.Duration
	warmup            bool
}

func (r *recorder) add(res result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if res.outcome.failed() {
		r.example(fmt.Sprintf("%s: %s", res.op, orElse(res.detail, string(res.outcome))))
	}
	if res.warmup { // a failure is one all the same
		if res.outcome.failed() {
			r.ops[res.op].outcomes[res.outcome]++
		}
		return
	}
	tallies := []*tally{r.ops[res.op]}
	if res.op != Login && res.op != Verify {
		tallies = append(tallies, r.interval)
	}
	for _, t := range tallies {
		t.outcomes[res.outcome]++
		if res.outcome == good {
			add(t.due, res.fromDue)
			add(t.sent, res.fromSent)
		}
	}
}

// example keeps a few of what failures looked like, with how often each did. The caller holds mu.
func (r *recorder) example(text string) {
	const most = 20
	if _, known := r.examples[text]; known || len(r.examples) < most {
		r.examples[text]++
	}
}

func (r *recorder) count(counter *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*counter++
}

// refusal returns the record of a kind of verifier. The caller holds mu.
func (r *recorder) refusal(verifier string) *refusal {
	if r.refusals[verifier] == nil {
		r.refusals[verifier] = &refusal{late: newHistogram()}
	}
	return r.refusals[verifier]
}

func (r *recorder) refused(verifier string, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(r.refusal(verifier).late, late)
}

func (r *recorder) blind(verifier string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal(verifier).blind++
}

// accepted notes a token that a verifier took although its session had ended longer ago than the bound.
func (r *recorder) accepted(verifier string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal(verifier).after++
	r.ops[Logout].outcomes[accepted]++
	r.example(fmt.Sprintf("logout: %s accepts a token after its logout", verifier))
}

// takeInterval returns what came since it was last called.
func (r *recorder) takeInterval() *tally {
	fresh := newTally()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.interval
	r.interval = fresh
	return taken
}

// totals are what a progress display shows.
func (r *recorder) totals() (done, busy, failed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.ops {
		for o, n := range t.outcomes {
			switch {
			case o == good:
				done += n
			case o.failed():
				failed += n
			default:
				busy += n
			}
		}
	}
	return done, busy, failed
}

func orElse(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

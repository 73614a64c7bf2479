package hostileissuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// Verifier is a client under test. Its methods are called concurrently. A Verifier that is an [io.Closer] is closed at the
// end.
type Verifier interface {
	// Verify returns nil for a token in compact form that is good. An error means that it is not, or that it cannot be
	// told; the two are not told apart here. ctx is that of a request, with a deadline.
	Verify(ctx context.Context, raw string) error
}

// Start starts a client, as a service does when it starts. ctx ends with the scenario. After an error it is called again,
// as whoever supervises a service starts it again.
type Start func(ctx context.Context, s Settings) (Verifier, error)

// Settings are what a client is told. Those of the times are short, as scenarios are to be; a client that cannot be
// told one of them uses its own.
type Settings struct {
	Issuer    string // the iss of tokens
	Audience  string // their aud
	Algorithm string // their alg: [Algorithm]
	JWKSURL   string

	// Client reaches the issuer. It has no timeout and follows redirects, as [http.DefaultClient] does.
	Client *http.Client

	Refresh      time.Duration // the longest between two fetches, whatever the issuer says
	Refetch      time.Duration // the shortest between two fetches for unknown keys
	FetchTimeout time.Duration // of one fetch
	Wait         time.Duration // the longest that a request waits for a fetch
	MaxAge       time.Duration // how long a key is trusted without hearing from the issuer
}

const maxAge = 12 * time.Second

func settings(i *Issuer) Settings {
	return Settings{
		Issuer: i.URL, Audience: "orders", Algorithm: Algorithm, JWKSURL: i.URL + "/jwks.json",
		Client:  &http.Client{Transport: i.Transport()},
		Refresh: time.Second, Refetch: time.Second, FetchTimeout: 2 * time.Second, Wait: time.Second, MaxAge: maxAge,
	}
}

// Scenario is one way in which an issuer, or who sends tokens, is hostile.
type Scenario struct {
	Name   string // a few words, unique
	Issuer string // what the issuer does
	Client string // what a good client must do

	tells measure // what is worth telling of a client that does
	steps []step
}

// measure is what of an [Outcome] is told first.
type measure int

const (
	wait measure = iota
	requests
	bytesSent
	effect
)

// Outcome is how a client did in a scenario.
type Outcome struct {
	Scenario    Scenario
	Fault       string        // what the client did that it must not, or did not that it must; empty when it passed
	Requests    int           // that the issuer got
	Sent        int64         // bytes that the issuer could send
	LongestWait time.Duration // for the answer about one token
	Effect      time.Duration // how long it took until the latest change of the issuer's had its effect
}

// Passed tells whether the client did all that it must.
func (o Outcome) Passed() bool { return o.Fault == "" }

// String is the verdict with the number that tells most: "passed: 3 requests", "FAILED: …".
func (o Outcome) String() string {
	if !o.Passed() {
		return "FAILED: " + o.Fault
	}
	return "passed: " + o.number()
}

func (o Outcome) number() string {
	switch o.Scenario.tells {
	case requests:
		return fmt.Sprintf("%d requests", o.Requests)
	case bytesSent:
		return fmt.Sprintf("%.1f MiB taken", float64(o.Sent)/(1<<20))
	case effect:
		return fmt.Sprintf("after %.1f s", o.Effect.Seconds())
	case wait:
	}
	return fmt.Sprintf("waited %d ms", o.LongestWait.Milliseconds())
}

// Test runs scenarios on loopback, those of these names or all, as parallel subtests that fail with what the client did
// wrong. Most take about six seconds, which they wait; go test -parallel 16 runs more of them at a time.
func Test(t *testing.T, start Start, names ...string) {
	all := Scenarios()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s Scenario) bool { return s.Name == name }) {
			t.Errorf("there is no scenario %q", name)
		}
	}
	for _, s := range all {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			o, err := s.Run(t.Context(), Loopback(), start)
			switch {
			case err != nil:
				t.Fatal(err)
			case !o.Passed():
				t.Errorf("%s\nthe issuer: %s\na good client: %s", o, s.Issuer, s.Client)
			}
		})
	}
}

// Run tries a client. The error says that the scenario could not be played; it is not about the client. Within a
// testing/synctest bubble n must have been made in it by [Pipes].
func (s Scenario) Run(ctx context.Context, n Network, start Start) (Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, err := newTrial(ctx, n, start)
	if err != nil {
		return Outcome{}, fmt.Errorf("scenario %q: %w", s.Name, err)
	}
	defer t.close()
	defer cancel()
	for _, do := range s.steps {
		if err = do(t); err != nil {
			break
		}
	}
	o := Outcome{
		Scenario: s, Requests: t.issuer.Requests(), Sent: t.issuer.Sent(), LongestWait: t.longest(), Effect: t.effect,
	}
	var f fault
	switch {
	case errors.As(err, &f):
		o.Fault = string(f)
	case err != nil:
		return Outcome{}, fmt.Errorf("scenario %q: %w", s.Name, err)
	}
	return o, nil
}

// fault is what a client did wrong.
type fault string

func (f fault) Error() string { return string(f) }

func faultf(format string, args ...any) error { return fault(fmt.Sprintf(format, args...)) }

func closeVerifier(v Verifier) {
	if c, ok := v.(io.Closer); ok {
		_ = c.Close() // the scenario is over
	}
}

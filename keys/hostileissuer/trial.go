package hostileissuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Patience, which is all that depends on the speed of a machine.
const (
	promptly = time.Second      // for a token whose key is known: it should take no time
	bounded  = 5 * time.Second  // for any answer
	soon     = 10 * time.Second // until a change of the issuer's has its effect
	giveUp   = 15 * time.Second // on a client that does not answer
)

// trial is one run of a scenario.
type trial struct {
	ctx      context.Context //nolint:containedctx // a trial is one call of Run
	start    Start
	issuer   *Issuer
	evil     *Issuer // another origin
	settings Settings

	started chan struct{} // closed when nobody tries to start the client any more
	since   time.Time     // from when on requests are counted
	before  int           // requests until then
	effect  time.Duration
	failed  atomic.Bool // one of the steps done together

	mu       sync.Mutex
	verifier Verifier // nil until started
	worst    time.Duration
	signers  map[string]signer
}

func newTrial(ctx context.Context, n Network, start Start) (*trial, error) {
	issuer, err := NewIssuer(n, http.NotFoundHandler())
	if err != nil {
		return nil, err
	}
	evil, err := NewIssuer(n, http.NotFoundHandler())
	if err != nil {
		issuer.Close()
		return nil, err
	}
	return &trial{
		ctx: ctx, start: start, issuer: issuer, evil: evil, settings: settings(issuer), since: time.Now(),
		signers: map[string]signer{},
	}, nil
}

// close waits for a client that was asked to start, unless it does not heed its context.
func (t *trial) close() {
	if t.started != nil {
		select {
		case <-t.started:
		case <-time.After(giveUp):
		}
	}
	t.mu.Lock()
	v := t.verifier
	t.mu.Unlock()
	closeVerifier(v)
	t.issuer.Close()
	t.evil.Close()
	t.settings.Client.CloseIdleConnections()
}

// signer returns the key of that name, which is its kid, and makes it when it is new.
func (t *trial) signer(name string) (signer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.signers[name]
	if ok {
		return s, nil
	}
	s, err := newSigner(name)
	if err == nil {
		t.signers[name] = s
	}
	return s, err
}

func (t *trial) jwk(name string) (jwk, error) {
	s, err := t.signer(name)
	if err != nil {
		return nil, err
	}
	return s.jwk()
}

func (t *trial) longest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.worst
}

// launch starts the client, again and again if need be.
func (t *trial) launch() {
	t.started = make(chan struct{})
	go func() {
		defer close(t.started)
		for t.ctx.Err() == nil {
			v, err := t.start(t.ctx, t.settings)
			if err == nil {
				t.mu.Lock()
				t.verifier = v
				t.mu.Unlock()
				return
			}
			select {
			case <-t.ctx.Done():
			case <-time.After(time.Second / 2):
			}
		}
	}()
}

var (
	errNotStarted = errors.New("the client has not started")
	errNoAnswer   = errors.New("no answer")
)

// verify asks the client about a token that by has signed, and returns its answer and how long that took.
func (t *trial) verify(by signer) (took time.Duration, answer, err error) {
	raw, err := t.settings.issue(t.ctx, by)
	if err != nil {
		return 0, nil, err
	}
	took, answer = t.ask(raw)
	return took, answer, nil
}

func (t *trial) ask(raw string) (took time.Duration, answer error) {
	t.mu.Lock()
	v := t.verifier
	t.mu.Unlock()
	if v == nil {
		return 0, errNotStarted
	}
	ctx, cancel := context.WithTimeout(t.ctx, giveUp)
	defer cancel()
	answered := make(chan error, 1)
	began := time.Now()
	go func() {
		defer func() {
			if p := recover(); p != nil {
				answered <- fmt.Errorf("%w: it panicked: %v", errNoAnswer, p)
			}
		}()
		answered <- v.Verify(ctx, raw)
	}()
	timer := time.NewTimer(giveUp + time.Second)
	defer timer.Stop()
	select {
	case answer = <-answered:
	case <-timer.C:
		answer = errNoAnswer
	}
	took = time.Since(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worst = max(t.worst, took)
	return took, answer
}

package hostileissuer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// step is one thing that happens in a scenario, or one that is demanded. It returns a [fault] when the client does
// wrong.
type step func(*trial) error

// begins are the steps of a scenario that starts well: the client knows the key "a".
func begins(more ...step) []step {
	return append([]step{publish("a"), launch, within(soon, accepts("a")), mark}, more...)
}

func launch(t *trial) error {
	t.launch()
	return nil
}

// answer makes the issuer answer what is made of a good set with the keys "a" and "b".
func answer(by func(t *trial, doc string) http.Handler) step { return answerKeys(by, "a", "b") }

func answerKeys(by func(t *trial, doc string) http.Handler, names ...string) step {
	return func(t *trial) error {
		keys, err := t.jwks(names...)
		if err != nil {
			return err
		}
		t.issuer.Answer(by(t, jwks(keys)))
		return nil
	}
}

// always is an answer that has nothing of a good set.
func always(h http.HandlerFunc) step {
	return func(t *trial) error {
		t.issuer.Answer(h)
		return nil
	}
}

// publish makes the issuer honest, with these keys.
func publish(names ...string) step { return publishFor("public, max-age=1", names...) }

func publishFor(cacheControl string, names ...string) step {
	return func(t *trial) error {
		keys, err := t.jwks(names...)
		if err != nil {
			return err
		}
		t.issuer.Answer(set(cacheControl, jwks(keys)))
		return nil
	}
}

// publishBeside publishes, between the keys "a" and "b", what spoil makes of a third, "odd".
func publishBeside(spoil func(odd jwk)) step {
	return func(t *trial) error {
		keys, err := t.jwks("a", "odd", "b")
		if err != nil {
			return err
		}
		spoil(keys[1])
		t.issuer.Answer(set("public, max-age=1", jwks(keys)))
		return nil
	}
}

// publishTwins publishes, between the keys "a" and "b", two with the kid "odd".
func publishTwins(t *trial) error {
	keys, err := t.jwks("a", "odd", "twin", "b")
	if err != nil {
		return err
	}
	keys[2]["kid"] = "odd"
	t.issuer.Answer(set("public, max-age=1", jwks(keys)))
	return nil
}

func (t *trial) jwks(names ...string) ([]jwk, error) {
	keys := []jwk{}
	for _, name := range names {
		k, err := t.jwk(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// accepts demands that a token of that key passes promptly.
func accepts(name string) step {
	return func(t *trial) error {
		by, err := t.signer(name)
		if err != nil {
			return err
		}
		took, said, err := t.verify(by)
		switch {
		case err != nil:
			return err
		case said != nil && took > promptly:
			return faultf("a good token was refused after %.1f s", took.Seconds())
		case said != nil:
			return faultf("a good token was refused")
		case took > promptly:
			return faultf("a good token waited %.1f s", took.Seconds())
		}
		return nil
	}
}

// refuses demands that a token of that key is refused in bounded time. why says what is wrong with it.
func refuses(name, why string) step {
	return func(t *trial) error {
		by, err := t.signer(name)
		if err != nil {
			return err
		}
		return t.refused(by, why)
	}
}

func (t *trial) refused(by signer, why string) error {
	took, said, err := t.verify(by)
	if err != nil {
		return err
	}
	return judgeRefusal(took, said, why)
}

func judgeRefusal(took time.Duration, said error, why string) error {
	switch {
	case said == nil:
		return faultf("%s was accepted", why)
	case errors.Is(said, errNoAnswer):
		return faultf("no answer to %s: %v", why, said)
	case took > bounded:
		return faultf("%s waited %.1f s", why, took.Seconds())
	}
	return nil
}

// forged is a signer that uses the kid of another.
func forged(kid string) step {
	return func(t *trial) error {
		by, err := newSigner(kid)
		if err != nil {
			return err
		}
		return t.refused(by, "a forged token")
	}
}

// within demands that a step succeeds before limit has passed, and notes when it did.
func within(limit time.Duration, do step) step {
	return func(t *trial) error {
		began := time.Now()
		for {
			err := do(t)
			t.effect = time.Since(began)
			var f fault
			if !errors.As(err, &f) {
				return err
			}
			if t.effect > limit {
				return faultf("%s, still after %.0f s", f, t.effect.Seconds())
			}
			if err := t.sleep(time.Second / 20); err != nil {
				return err
			}
		}
	}
}

// during demands for a time, every so often, that a step succeeds; no longer, once the client has failed elsewhere.
func during(d, every time.Duration, do step) step {
	return func(t *trial) error {
		for began := time.Now(); time.Since(began) < d && !t.failed.Load(); {
			if err := do(t); err != nil {
				return err
			}
			if err := t.sleep(every); err != nil {
				return err
			}
		}
		return nil
	}
}

// together does steps at the same time.
func together(steps ...step) step {
	return func(t *trial) error {
		failed := make(chan error)
		for _, do := range steps {
			go func() { failed <- do(t) }()
		}
		var first error
		for range steps {
			if err := <-failed; err != nil && first == nil {
				t.failed.Store(true)
				first = err
			}
		}
		return first
	}
}

// pause lets time pass.
func pause(d time.Duration) step {
	return func(t *trial) error { return t.sleep(d) }
}

func (t *trial) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

// flood sends that many tokens at once, each with a kid of its own that nobody knows.
func flood(n int) step {
	return func(t *trial) error {
		by, err := newSigner("")
		if err != nil {
			return err
		}
		one := func(t *trial) error {
			by := by
			by.kid = fmt.Sprintf("junk-%016x", rand.Uint64())
			return t.refused(by, "a token of an unknown key")
		}
		return together(slices.Repeat([]step{one}, n)...)(t)
	}
}

// mark counts requests from here on.
func mark(t *trial) error {
	t.since, t.before = time.Now(), t.issuer.Requests()
	return nil
}

// perSecond is how many requests a client may send. What it is told makes two tries a second at most; one that follows ten
// redirects sends ten requests.
const perSecond = 25

// fewRequests demands that the issuer was left in peace since mark.
func fewRequests(t *trial) error {
	n, took := t.issuer.Requests()-t.before, time.Since(t.since)
	if allowed := perSecond * (1 + int(took.Seconds())); n > allowed {
		return faultf("%d requests in %.0f s", n, took.Seconds())
	}
	return nil
}

// fewBytes demands that the client took no more than that.
func fewBytes(limit int64) step {
	return func(t *trial) error {
		if n := t.issuer.Sent(); n > limit {
			return faultf("took %d MiB", n>>20)
		}
		return nil
	}
}

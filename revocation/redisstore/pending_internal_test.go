package redisstore

import (
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

func TestPending(t *testing.T) {
	now := time.Unix(1000, 0)
	weak := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 2000}
	strict := weak
	strict.Expires = 3000
	expired := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{2}, Expires: 900}
	entries := func(e ...revocation.Entry) []revocation.Entry { return e }

	p := pending{}
	p.begin(entries(weak, expired))
	if got := p.waiting(now); len(got) != 0 {
		t.Errorf("%v wait while a call is adding them", got)
	}
	p.failed(entries(weak, expired))
	if got := p.waiting(now); len(got) != 1 || got[0] != weak {
		t.Errorf("%v wait after a failure, want %v", got, weak)
	}
	if len(p) != 1 {
		t.Errorf("the expired entry is still there: %v", p)
	}
	p.begin(entries(strict))
	p.begin(entries(weak))
	p.done(entries(weak))
	p.failed(entries(strict))
	if got := p.waiting(now); len(got) != 1 || got[0] != strict {
		t.Errorf("%v are pending when the weaker entry has been acknowledged, want %v", got, strict)
	}
	p.begin(entries(strict))
	p.done(entries(strict))
	if len(p) != 0 {
		t.Errorf("%v are pending in the end", p)
	}
	p.failed(entries(weak)) // a call with the same entry, after another has succeeded
	if len(p) != 0 {
		t.Errorf("%v are pending after a failure of what had been acknowledged", p)
	}
}

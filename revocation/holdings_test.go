package revocation_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
)

// What is told about a token agrees with what is answered about it, whatever the mirror holds.
func TestHoldingsAgreeWithCheck(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := revocation.NewMirror(revocation.MirrorConfig{Now: func() time.Time { return time.Unix(0, 0) }})
		held := model{}
		for _, e := range rapid.SliceOfN(entries(), 0, 30).Draw(rt, "entries") {
			m.Merge(e)
			held.merge(e)
		}
		id := func(name string) (id revocation.ID) {
			id[rapid.SampledFrom([]int{0, 8}).Draw(rt, name)] = byte(rapid.IntRange(1, 20).Draw(rt, name))
			return id
		}
		c := revocation.Claims{
			Token: id("jti"), Session: id("sid"), Subject: id("sub"), Client: id("client"), Key: id("kid"),
			IssuedAt: rapid.Int64Range(0, 1<<32-1).Draw(rt, "iat"),
		}
		ids := map[revocation.Kind]revocation.ID{
			revocation.Token: c.Token, revocation.Session: c.Session, revocation.Subject: c.Subject,
			revocation.Client: c.Client, revocation.Key: c.Key, revocation.Everything: {},
		}
		list, hits := m.Holdings(c), false
		for i, h := range list {
			hits = hits || h.Hits
			want, known := held[key{h.Kind, ids[h.Kind]}]
			if h.Kind != revocation.Token+revocation.Kind(i) || h.Held != known || h.Entry != want || h.Hits && !h.Held {
				rt.Errorf("%v: have %+v, want %+v", h.Kind, h, want)
			}
		}
		if revoked := errors.Is(m.Check(t.Context(), c), revocation.ErrRevoked); len(list) != 6 || hits != revoked {
			rt.Errorf("revoked is %v, explained by %+v", revoked, list)
		}
	})
}

// heard wants the mirror to have heard of an entry then, at least of the form that hits a token issued at iat.
func heard(t *testing.T, m *revocation.Mirror, e revocation.Entry, iat int64, want time.Time) {
	t.Helper()
	c := claimsFor(e)
	c.IssuedAt = iat
	have := m.Holdings(c)[e.Kind-revocation.Token]
	if !have.Held || !have.Heard.Equal(want.Truncate(time.Millisecond)) && (!want.IsZero() || !have.Heard.IsZero()) {
		t.Errorf("%v: have %+v, want it heard at %v", e.Kind, have, want)
	}
}

// An entry was heard of when it first hit, if the mirror was fresh then: what comes with a snapshot or after an outage may
// be old, and neither a repeat nor a later form of the entry is its beginning.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: 5 * time.Second}), make(tape)
		c := run(t, m, feed)
		seq := uint64(0)
		play := func(entries ...revocation.Entry) (at time.Time) {
			t.Helper()
			seq++
			batch := revocation.Batch{Entries: entries, Position: revocation.Position{Epoch: "e", Seq: seq}, AsOf: time.Now()}
			if err := c.play(batch); err != nil {
				t.Fatal(err)
			}
			return time.Now()
		}
		old, fed, own, late := session("old"), session("fed"), session("own"), session("late")
		play(old)
		heard(t, m, old, 0, time.Time{})

		time.Sleep(time.Second)
		atFed := play(fed)
		m.Merge(own)
		time.Sleep(time.Second)
		later := fed
		later.Expires++
		play(own, old, later)
		heard(t, m, fed, 0, atFed)
		heard(t, m, own, 0, atFed)
		heard(t, m, old, 0, time.Time{})

		cut := revocation.Entry{Kind: revocation.Subject, ID: revocation.ID{1}, NotBefore: 100, Expires: inAnHour()}
		atCut := play(cut)
		time.Sleep(time.Second)
		cut.NotBefore = 200
		atNext := play(cut)
		heard(t, m, cut, 50, atCut)
		heard(t, m, cut, 150, atNext)
		heard(t, m, cut, 250, atNext) // not hit: what is held now

		time.Sleep(time.Minute)
		play(late)
		heard(t, m, late, 0, time.Time{})
	})
}

// What the history no longer holds was not heard of, as far as anybody can tell.
func TestHeardTooLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{History: 2}), make(tape)
		if err := run(t, m, feed).play(revocation.Batch{Position: at(1), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		first := session("first")
		m.Merge(first, session("second"))
		heard(t, m, first, 0, time.Now())
		m.Merge(session("third"))
		heard(t, m, first, 0, time.Time{})
	})
}

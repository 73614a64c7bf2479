package keys_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// backedUp is a ring with a key in each state, as a store keeps it.
func backedUp(t *testing.T, p keys.Policy, codec *keys.Codec) (keys.Ring, []byte) {
	t.Helper()
	begin := time.Now().Add(-p.RotateEvery - time.Hour)
	r := turn(t, p, begin, keys.Ring{})
	r = turn(t, p, begin.Add(p.RotateEvery), r)
	if r.Keys = append(r.Keys, r.Keys[0]); r.Keys[0].State != keys.Retired {
		t.Fatalf("no retired key in %v", r)
	}
	last := &r.Keys[len(r.Keys)-1]
	last.ID, last.State, last.Private = r.Epoch+"-abcdefghijklmnopqrstuv", keys.Revoked, nil
	r.Term, r.Holder = 7, "authd-0"
	text, err := codec.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, text
}

// Of an abandoned ring nothing can be used, not even with its key-encryption key, and a leader makes it whole again: with
// new keys of the same epoch, and with every old one in the revocation set.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
		kek := keys.GenerateKEK()
		before, text := backedUp(t, p, keys.NewCodec(kek))
		abandoned, err := keys.Abandon(text)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(abandoned, []byte("private")) || bytes.Contains(abandoned, []byte("secret")) {
			t.Errorf("something sealed is left: %s", abandoned)
		}
		r, err := keys.NewCodec(keys.GenerateKEK()).Unmarshal(abandoned) // another one: nothing is sealed
		if err != nil || r.Epoch != before.Epoch || r.Term != before.Term {
			t.Fatalf("read %v, %v", r, err)
		}
		store := keystest.NewMemory()
		put(t, store, r)
		set := new(revocations)
		leader, view := newRotator(t, store, p, "leader", set), newView(t, store, p)
		start(t, leader.Lead)
		start(t, view.Run)
		<-view.Ready()
		time.Sleep(time.Minute)
		after := stored(t, store)
		for _, k := range before.Keys {
			if got := state(after, k.ID); got != keys.Revoked {
				t.Errorf("%v is %q", k, got)
			}
			if k.State != keys.Revoked && set.until(k.ID).Before(time.Now().Add(p.RevokedFor-time.Hour)) {
				t.Errorf("%v is in the revocation set until %v", k, set.until(k.ID))
			}
		}
		kid, _, _, err := view.SigningKey(t.Context())
		if epoch, ok := keys.ParseKeyID(kid); err != nil || !ok || epoch != before.Epoch || state(before, kid) != "" {
			t.Errorf("signs with %q, %v", kid, err)
		}
		if inState(after, keys.Prepared) == "" || len(after.MACs) != 2 {
			t.Errorf("not whole: %v", after)
		}
	})
}

// The keys of an unconfirmed ring stay what they are, but the standby waits its full time again, and the retired one too.
func TestUnconfirm(t *testing.T) {
	p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	codec := keys.NewCodec(keys.GenerateKEK())
	before, text := backedUp(t, p, codec)
	text, err := keys.Unconfirm(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := codec.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(p.RotateEvery + p.RetiredFor()) // every stamp of the backup is over
	r = turn(t, p, now, r)
	for _, k := range before.Keys {
		if k.State != keys.Revoked && state(r, k.ID) != k.State {
			t.Errorf("%v is %q", k, state(r, k.ID))
		}
	}
	if late := turn(t, p, now.Add(p.RetiredFor()+p.PublishAhead+time.Second), r); state(late, inState(before, keys.Retired)) != "" {
		t.Errorf("a retired key stays for ever: %v", late)
	}
	if _, err := keys.Unconfirm([]byte("no ring")); err == nil {
		t.Error("something else was taken for a ring")
	}
}

func TestRestoreWhereThereIsNone(t *testing.T) {
	p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	before, _ := backedUp(t, p, keys.NewCodec())
	store := keystest.NewMemory()
	if err := keys.Restore(t.Context(), store, before); err != nil {
		t.Fatal(err)
	}
	if r := stored(t, store); r.Term != before.Term+1 || r.Epoch != before.Epoch || len(r.Keys) != len(before.Keys) {
		t.Errorf("restored %v of term %d", r, r.Term)
	}
	if term, err := store.Claim(t.Context(), "leader"); err != nil || term != before.Term+2 {
		t.Errorf("claimed term %d, %v", term, err)
	}
	if err := keys.Restore(t.Context(), store, before); !errors.Is(err, keys.ErrExists) {
		t.Errorf("restored over a ring: %v", err)
	}
}

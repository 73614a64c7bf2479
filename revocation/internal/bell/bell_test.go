package bell_test

import (
	"testing"

	"github.com/authd-project/authd/revocation/internal/bell"
)

func TestRingWakesThoseWhoWait(t *testing.T) {
	var b bell.Bell
	b.Ring() // nobody waits
	first, second := b.Next(), b.Next()
	select {
	case <-first:
		t.Fatal("woken by a ring of before")
	default:
	}
	b.Ring()
	<-first
	<-second
	select {
	case <-b.Next():
		t.Fatal("woken twice by one ring")
	default:
	}
}

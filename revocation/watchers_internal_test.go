package revocation

import (
	"testing"
	"time"
)

// CheckWatchers checks that every open watch of m is found in each way, and nothing else is.
func CheckWatchers(t *testing.T, m *Mirror) {
	t.Helper()
	ws := &m.watchers
	ws.mu.Lock()
	defer ws.mu.Unlock()
	bounds := map[time.Duration]int{}
	for i, w := range ws.due {
		if !w.open || w.place != i || i > 0 && ws.due[(i-1)/2].Expires > w.Expires {
			t.Errorf("the one at %d is out of place", i)
		}
		bounds[w.MaxAge]++
	}
	for bound, n := range ws.bounds {
		if bounds[bound] != n {
			t.Errorf("%d bear %v, counted are %d", bounds[bound], bound, n)
		}
	}
	for k := Token; k <= Key; k++ {
		listed := 0
		for id, w := range ws.byID[k-1] {
			for ; w != nil; w = w.links[k-1].after {
				if listed++; w.id(k) != id || !w.open {
					t.Errorf("a wrong one is listed by %v", k)
				}
			}
		}
		if listed != len(ws.due) {
			t.Errorf("%d are listed by %v, %d are open", listed, k, len(ws.due))
		}
	}
	if n := int(ws.open.Load()); n != len(ws.due) {
		t.Errorf("counted are %d, %d are open", n, len(ws.due))
	}
	if len(ws.due) == 0 && (ws.due != nil || ws.byID[0] != nil || ws.touched != nil) {
		t.Error("memory is kept for nobody")
	}
}

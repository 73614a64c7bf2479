package token

import (
	"fmt"
	"testing"
)

// TestMemo puts more texts than there are places: each value belongs to its text or is forgotten.
func TestMemo(t *testing.T) {
	m := newMemo[int]()
	n := 4 * len(m.places)
	for i := range n {
		text := fmt.Sprint("text ", i)
		if _, known := m.get(text); known {
			t.Errorf("%q is known before it was put", text)
		}
		m.put(text, i)
		if v, known := m.get(text); !known || v != i {
			t.Errorf("%q: have %d, %v just after it was put", text, v, known)
		}
	}
	kept := 0
	for i := range n {
		if v, known := m.get(fmt.Sprint("text ", i)); known {
			kept++
			if v != i {
				t.Errorf("text %d has the value of %d", i, v)
			}
		}
	}
	if kept == 0 || kept > len(m.places) {
		t.Errorf("%d of %d are kept in %d places", kept, n, len(m.places))
	}
}

package loadtest

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawMix(t *rapid.T) Mix {
	var parts []string
	logins := rapid.IntRange(0, 50).Draw(t, "login")
	for op := range opCount {
		weight := rapid.IntRange(0, 1000).Draw(t, op.String())
		switch op {
		case Login:
			weight = logins
		case Logout:
			weight = rapid.IntRange(0, logins).Draw(t, "logout")
		case Verify:
			weight++ // not all zero
		}
		parts = append(parts, fmt.Sprintf("%s=%d", op, weight))
	}
	m, err := ParseMix(strings.Join(parts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// At any time each operation has had its share, give or take one for each other operation. So sessions neither pile up
// nor run out by chance.
func TestMixKeepsItsProportions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dealer{mix: drawMix(t)}
		var dealt [opCount]float64
		for n := 1; n <= rapid.IntRange(1, 3000).Draw(t, "requests"); n++ {
			dealt[d.next()]++
			for op := range opCount {
				want := d.mix.Share(op) * float64(n)
				if dealt[op] < want-float64(opCount) || dealt[op] > want+float64(opCount) {
					t.Fatalf("after %d requests there were %.0f of %s, want %.1f", n, dealt[op], op, want)
				}
			}
		}
	})
}

// After as many requests as the weights add up to, every operation had exactly its weight.
func TestMixIsExactInRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMix(t)
		d := dealer{mix: m}
		var dealt [opCount]int
		for range m.total() {
			dealt[d.next()]++
		}
		if dealt != m.weights {
			t.Fatalf("dealt %v for %v", dealt, m.weights)
		}
	})
}

func TestMixReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMix(t)
		again, err := ParseMix(m.String())
		if err != nil || again != m {
			t.Fatalf("%v, %v from %q", again, err, m.String())
		}
	})
}

func TestBadMixes(t *testing.T) {
	for text, want := range map[string]string{
		"": "OPERATION=WEIGHT", "login": "OPERATION=WEIGHT", "dance=1": "OPERATION=WEIGHT", "login=x": "whole number",
		"login=-1": "whole number", "login=1.5": "whole number", "login=0": "no operation", "login=1,logout=2": "sessions would run out",
		"login=1000001": "whole number",
	} {
		if _, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

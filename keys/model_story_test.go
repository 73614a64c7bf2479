package keys

import (
	"fmt"
	"strings"
)

// story tells a trace to people: each action, and the state after it. Kids and leaders keep their names from line to line.
func (w *world) story(trace []modelAction) string {
	verbatim := *w
	verbatim.verbatim = true
	var b strings.Builder
	var s, told modelState
	for _, wanted := range trace {
		s = w.after(s, wanted)
		next, action := told, wanted
		verbatim.next(told, func(a modelAction, after modelState, _ error) {
			if like := after; a.kind == wanted.kind {
				if w.normalize(&like); like == s {
					next, action = after, a
				}
			}
		})
		told = next
		fmt.Fprintf(&b, "%-34s %s\n", w.tellAction(action), tellState(told))
	}
	return b.String()
}

// after returns what an action makes of a state.
func (w *world) after(s modelState, wanted modelAction) (after modelState) {
	w.next(s, func(a modelAction, next modelState, _ error) {
		if a == wanted {
			after = next
		}
	})
	return after
}

func (w *world) tellAction(a modelAction) string {
	leader := "leader " + string('A'+rune(a.who))
	switch a.kind {
	case doTick:
		return "a tick passes"
	case doElect:
		return leader + " is elected"
	case doRead:
		if a.heard {
			return leader + " reads, hears, decides"
		}
		return leader + " reads and decides"
	case doWrite:
		return leader + " writes"
	case doCrash:
		return leader + " crashes"
	case doLoadSigner:
		return "the signing replica loads"
	case doLoadServer:
		return "the serving replica loads"
	case doSign:
		return "a token is made"
	case doFetch:
		return "the verifier fetches the JWKS"
	case doAsk:
		return fmt.Sprintf("an operator revokes key %d", a.who)
	case doReport:
		return "the verifier fetches and reports"
	case doReportUnsure:
		return "the verifier reports that it could not fetch"
	case doLose:
		return "the reports are lost"
	}
	return "?"
}

func tellState(s modelState) string {
	parts := []string{"ring" + tellRing(s.ring)}
	for i, l := range s.leaders {
		if l.frozen {
			parts = append(parts, fmt.Sprintf("%c%s is about to write%s", 'A'+i,
				[]string{"", " (deposed)", ""}[l.term], tellRing(l.pending)))
		}
	}
	for _, v := range []struct {
		name string
		modelView
	}{{"signs with", s.signer}, {"served", s.server}, {"cached", s.cache}, {"token by", s.token}, {"reported", s.said}} {
		if v.kids != 0 {
			parts = append(parts, v.name+tellKids(v.modelView))
		}
	}
	return strings.Join(parts, "; ")
}

func tellRing(r modelRing) string {
	if r.n == 0 {
		return " -"
	}
	var b strings.Builder
	for _, k := range r.keys[:r.n] {
		fmt.Fprintf(&b, " %d:%s", k.id, modelStates[k.state])
		if k.age == unstamped {
			b.WriteString("(unconfirmed)")
		} else {
			fmt.Fprintf(&b, "(%d)", k.age)
		}
	}
	return b.String()
}

func tellKids(v modelView) string {
	var b strings.Builder
	for id := range 15 {
		if v.kids&(1<<id) != 0 {
			fmt.Fprintf(&b, " %d", id)
		}
	}
	return fmt.Sprintf("%s (age %d)", b.String(), v.age)
}

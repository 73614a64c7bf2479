package keys

import (
	"errors"
	"slices"
)

// explorer visits every state that can be reached from a first one, breadth first, so that the trace to a violation is
// among the shortest. States are compared by value and kept, all of them.
type explorer[S, A comparable] struct {
	next  func(s S, reach func(A, S, error)) // calls reach for each action that s allows; an error convicts the action
	check func(S) error                      // an error convicts the state
	limit int                                // of states; more is an error

	found map[S]struct{}
	nodes []node[A] // in the order of discovery
	queue []S       // the last of them, whose successors are still to be found
}

type node[A any] struct {
	parent int32
	action A
}

// errTooMany ends an exploration that proves nothing, as it is not complete.
var errTooMany = errors.New("more states than the limit")

// run returns how many states there are. With an error it returns the actions that lead to the violation.
func (e *explorer[S, A]) run(first S) (states int, trace []A, err error) {
	e.found = map[S]struct{}{first: {}}
	e.nodes = []node[A]{{parent: -1}}
	e.queue = []S{first}
	for at := int32(0); int(at) < len(e.nodes); at++ {
		s := e.queue[0]
		e.queue = e.queue[1:]
		e.next(s, func(a A, after S, bad error) {
			if err != nil {
				return
			}
			_, known := e.found[after]
			if known && bad == nil {
				return
			}
			e.found[after] = struct{}{}
			e.nodes = append(e.nodes, node[A]{at, a})
			e.queue = append(e.queue, after)
			if err = bad; err == nil {
				err = e.check(after)
			}
			if err == nil && len(e.nodes) > e.limit {
				err = errTooMany
			}
		})
		if err != nil {
			return len(e.nodes), e.trace(), err
		}
	}
	return len(e.nodes), nil, nil
}

// trace returns the actions that lead to the state found last.
func (e *explorer[S, A]) trace() []A {
	var actions []A
	for at := int32(len(e.nodes) - 1); e.nodes[at].parent >= 0; at = e.nodes[at].parent {
		actions = append(actions, e.nodes[at].action)
	}
	slices.Reverse(actions)
	return actions
}

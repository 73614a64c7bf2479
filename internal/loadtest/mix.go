package loadtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Op is one kind of request that clients make.
type Op int

// The operations, in the order in which they are reported.
const (
	Login       Op = iota // POST /v1/login: begins a session
	Refresh               // POST /v1/refresh
	Verify                // a guard of the middleware decides about a token, in this process
	ForwardAuth           // GET /v1/verify
	Introspect            // POST /oauth2/introspect
	Service               // GET of a service that is guarded by the middleware
	Logout                // POST /v1/logout: ends a session, and is followed to the verifiers
	opCount
)

func opNames() [opCount]string {
	return [opCount]string{"login", "refresh", "verify", "forward-auth", "introspect", "service", "logout"}
}

func (o Op) String() string { return opNames()[o] }

// Mix says which part of the load each operation is, by whole weights.
type Mix struct{ weights [opCount]int }

// ParseMix reads weights in the form "login=1,refresh=10,verify=100".
func ParseMix(text string) (m Mix, err error) {
	for part := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(part), "=")
		names := opNames()
		op := slices.Index(names[:], name)
		if !ok || op < 0 {
			return Mix{}, fmt.Errorf("%q: want OPERATION=WEIGHT, with an operation of %s", part, strings.Join(names[:], ", "))
		}
		weight, err := strconv.Atoi(number)
		const most = 1_000_000
		if err != nil || weight < 0 || weight > most {
			return Mix{}, fmt.Errorf("%q: a weight is a whole number from 0 to %d", part, most)
		}
		m.weights[op] = weight
	}
	if m.total() == 0 {
		return Mix{}, errors.New("no operation has a weight")
	}
	if m.weights[Logout] > m.weights[Login] {
		return Mix{}, errors.New("more logouts than logins: the sessions would run out")
	}
	return m, nil
}

func (m Mix) total() (n int) {
	for _, w := range m.weights {
		n += w
	}
	return n
}

// Share is an operation's part of all requests, from 0 to 1.
func (m Mix) Share(o Op) float64 { return float64(m.weights[o]) / float64(m.total()) }

// String is the form that [ParseMix] reads.
func (m Mix) String() string {
	var parts []string
	for op, w := range m.weights {
		if w > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", Op(op), w))
		}
	}
	return strings.Join(parts, ",")
}

// dealer deals operations so that at any time each has had its share, give or take a few: by chance, sessions would run
// out or pile up now and then. It is smooth weighted round robin: each operation gains its weight of credit a turn, and
// the one with the most pays for all.
type dealer struct {
	mix    Mix
	credit [opCount]int
}

func (d *dealer) next() Op {
	best := Op(-1)
	for op, w := range d.mix.weights {
		d.credit[op] += w
		if w > 0 && (best < 0 || d.credit[op] > d.credit[best]) {
			best = Op(op)
		}
	}
	d.credit[best] -= d.mix.total()
	return best
}

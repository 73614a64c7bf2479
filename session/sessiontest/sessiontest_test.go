package sessiontest

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/authd-project/authd/session"
)

// memory is the least store that a history can be recorded from. When broken it reads, decides, and then writes, as a
// store without atomic steps would: each part is guarded, the whole is not.
type memory struct {
	broken bool

	mu       sync.Mutex
	now      time.Time
	sessions map[session.ID]session.Session
	session.Store
}

func (m *memory) backend() Backend {
	m.sessions = map[session.ID]session.Session{}
	m.now = time.Unix(1_700_000_000, 0)
	return Backend{Store: m, Advance: func(d time.Duration) { m.now = m.now.Add(d) }}
}

func (m *memory) Create(_ context.Context, s session.Session) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Chain = session.Chain{Generation: 1, Since: m.now}
	m.sessions[s.ID] = s
	return s, nil
}

func (m *memory) End(_ context.Context, ids ...session.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.sessions, id)
	}
	return nil
}

func (m *memory) Refresh(_ context.Context, id session.ID, presented uint64, _ session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[id]
	if !ok {
		return s, 0, session.ErrEnded
	}
	chain, outcome := session.Decide(s.Chain, presented, m.now, l)
	if m.broken {
		m.mu.Unlock()
		for range 20 {
			runtime.Gosched()
		}
		m.mu.Lock()
	}
	if outcome == session.Reused {
		delete(m.sessions, id)
		return s, outcome, nil
	}
	s.Chain = chain
	m.sessions[id] = s
	return s, outcome, nil
}

// The suite is worth something only if it can fail.
func TestLinearizabilityCheckFindsReadThenWrite(t *testing.T) {
	for name, broken := range map[string]bool{"atomic": false, "read then write": true} {
		t.Run(name, func(t *testing.T) {
			histories, err := record(t.Context(), (&memory{broken: broken}).backend())
			if err != nil {
				t.Fatal(err)
			}
			illegal, outcomes := 0, map[session.Outcome]int{}
			for _, history := range histories {
				if !porcupine.CheckOperations(model, history) {
					illegal++
				}
				for _, op := range history {
					outcomes[op.Output.(output).outcome]++
				}
			}
			if broken != (illegal > 0) {
				t.Errorf("%d of %d histories found illegal", illegal, len(histories))
			}
			for _, o := range []session.Outcome{session.Rotated, session.Replayed, session.Reused, 0} {
				if outcomes[o] == 0 {
					t.Errorf("no call had outcome %v: the histories do not try the whole rule", o)
				}
			}
		})
	}
}

// A wrong answer in a history without concurrency must not pass either.
func TestModelRefusesWrongAnswers(t *testing.T) {
	past := modelLimits.Grace + time.Second
	ok := output{outcome: session.Rotated, generation: 2}
	for name, history := range map[string][]porcupine.Operation{
		"rotated inside the grace": {
			{Input: input{presented: 1, now: time.Second}, Call: 1, Output: ok, Return: 2},
		},
		"rotated twice": {
			{Input: input{presented: 1, now: past}, Call: 1, Output: ok, Return: 2},
			{Input: input{presented: 1, now: past}, Call: 3, Output: ok, Return: 4},
		},
		"alive after the end": {
			{Input: input{end: true}, Call: 1, Output: output{}, Return: 2},
			{Input: input{presented: 1, now: past}, Call: 3, Output: ok, Return: 4},
		},
		"lost answer did not count": {
			{Input: input{presented: 1, now: past}, Call: 1, Output: output{lost: true}, Return: 2},
			{Input: input{presented: 1, now: past}, Call: 3, Output: ok, Return: 4},
		},
		"theft overlooked": {
			{Input: input{presented: 1, now: past}, Call: 1, Output: ok, Return: 2},
			{Input: input{presented: 1, now: 2 * past}, Call: 3, Output: output{outcome: session.Replayed, generation: 2}, Return: 4},
		},
	} {
		if porcupine.CheckOperations(model, history) {
			t.Errorf("%s: accepted", name)
		}
	}
}

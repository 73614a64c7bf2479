package redisstore

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/session"
)

//go:embed create.lua
var createSource string

//go:embed get.lua
var getSource string

//go:embed refresh.lua
var refreshSource string

//go:embed end.lua
var endSource string

//go:embed index.lua
var indexSource string

//go:embed members.lua
var membersSource string

type scripts struct{ create, get, refresh, end, index, members *redis.Script }

func newScripts() scripts {
	return scripts{
		create:  redis.NewScript(createSource),
		get:     redis.NewScript(getSource),
		refresh: redis.NewScript(refreshSource),
		end:     redis.NewScript(endSource),
		index:   redis.NewScript(indexSource),
		members: redis.NewScript(membersSource),
	}
}

// maxGeneration is the greatest that Lua counts to exactly. A chain that rotates every second gets there in 285 million
// years.
const maxGeneration = 1 << 53

// refreshArgs are the ARGV of refresh.lua. Limits that are no whole microseconds are rounded such that comparing the
// server's microseconds with them gives what session.Decide gives.
func refreshArgs(presented uint64, use session.Use, l session.Limits, keepEnded time.Duration) ([]any, error) {
	if presented >= maxGeneration {
		return nil, fmt.Errorf("generation %d: no session comes that far", presented)
	}
	address, err := json.Marshal(use.Address)
	if err != nil {
		return nil, fmt.Errorf("client address: %w", err)
	}
	return []any{
		presented, address, microsUp(l.Idle), microsUp(l.Absolute), l.Grace.Microseconds(), l.MaxReplays, microsUp(keepEnded),
	}, nil
}

func microsUp(d time.Duration) int64 { return (d + time.Microsecond - 1).Microseconds() }

// answer is what all scripts on a record answer.
type answer struct {
	now      time.Time // of the server
	code     int64     // says the script's head
	record   record    // zero when there is none
	previous string    // address of the use before, after a refresh
}

func parseAnswer(cmd *redis.Cmd, id session.ID) (answer, error) {
	values, err := cmd.Slice()
	if err != nil {
		return answer{}, err
	}
	if len(values) != 3 && len(values) != 4 {
		return answer{}, fmt.Errorf("a script answered %d values, want 3 or 4", len(values))
	}
	now, ok1 := values[0].(int64)
	code, ok2 := values[1].(int64)
	stored, ok3 := values[2].(string)
	if !ok1 || !ok2 || !ok3 {
		return answer{}, errors.New("a script answered values of other types than wanted")
	}
	a := answer{now: time.UnixMicro(now), code: code}
	if stored == "" {
		return a, nil
	}
	if a.record, err = parseRecord(id, stored); err != nil || len(values) == 3 {
		return a, err
	}
	previous, ok := values[3].(string)
	if !ok {
		return answer{}, errors.New("a script answered an address of another type than wanted")
	}
	a.previous, err = parseText(previous)
	return a, err
}

// live returns the session if it is live, or what session.Store.Get answers for one that is not.
func (a answer) live(l session.Limits) (session.Session, error) {
	switch {
	case a.record.state == stateEnded:
		return a.record.session, session.ErrEnded
	case a.record.state != stateLive, a.record.session.Expired(a.now, l):
		return session.Session{}, session.ErrNotFound
	}
	return a.record.session, nil
}

package redisstore

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed common.lua
var commonSource string

//go:embed add.lua
var addSource string

//go:embed beat.lua
var beatSource string

//go:embed confirm.lua
var confirmSource string

//go:embed sweep.lua
var sweepSource string

//go:embed status.lua
var statusSource string

//go:embed check.lua
var checkSource string

// Scripts are immutable: the source and its digest.
var (
	addScript     = newScript(addSource)
	beatScript    = newFrugal(beatSource)
	confirmScript = newFrugal(confirmSource)
	sweepScript   = newFrugal(sweepSource)
	statusScript  = newReader(statusSource)
	checkScript   = newReader(checkSource)
)

// script is a Lua script with common.lua before it.
type script struct {
	source *redis.Script
	reader bool // runs under EVAL_RO, which users with read-only keys may call
}

func newScript(source string) script { return script{source: redis.NewScript(commonSource + source)} }

// newFrugal returns a script that a server also runs when it is full: those that verify depend on it, and it takes no more
// memory than before.
func newFrugal(source string) script {
	return script{source: redis.NewScript("#!lua flags=allow-oom\n" + commonSource + source)}
}

func newReader(source string) script {
	return script{source: redis.NewScript(commonSource + source), reader: true}
}

// The keys, in the order in which common.lua takes them. The tag in braces puts them into one slot of a cluster.
const (
	metaKey    = "{authd:rev}:meta"
	entriesKey = "{authd:rev}:entries"
	cutoffsKey = "{authd:rev}:cutoffs"
	changesKey = "{authd:rev}:changes"
	peersKey   = "{authd:rev}:peers"
)

func allKeys() []string { return []string{metaKey, entriesKey, cutoffsKey, changesKey, peersKey} }

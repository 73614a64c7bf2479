package redisscript

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/schema"
)

//go:embed enter.lua
var enterSource string

// Enter stamps the server at key for a program that begins to use it, as [schema.Stamp.Enter] does. A server that needs a
// newer program gives [schema.ErrNewer], and nothing has changed. A server that lost its data says nothing, and is stamped
// by whoever starts next.
func (r *Runner) Enter(ctx context.Context, key string, own schema.Stamp) error {
	answer, err := r.Run(ctx, Call{
		Script: redis.NewScript(enterSource), Key: key, Args: []any{own.Version, own.Needs, own.Release},
	})
	if err != nil {
		return err
	}
	values, err := answer.Slice()
	if err != nil || len(values) != 3 {
		return fmt.Errorf("the script of the schema answered %d values, want 3: %w", len(values), err)
	}
	version, ok1 := values[0].(int64)
	needs, ok2 := values[1].(int64)
	release, ok3 := values[2].(string)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("the script of the schema answered values of other types than wanted")
	}
	said := schema.Stamp{Version: int(version), Needs: int(needs), Release: release}
	return said.Admit(own.Version, own.Release)
}

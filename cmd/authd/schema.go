package main

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/internal/schema"
)

// The versions in which this release keeps its data; docs/upgrades.md says when one is raised, and what must hold then. Those of
// the databases of users and factors are the numbers of their migrations, that of the key ring is the codec's.

// fileSteps lead to the version of DATA/authd.db: one for each release that keeps something in a new form.
func fileSteps() []func(*bbolt.Tx) error {
	return []func(*bbolt.Tx) error{
		func(*bbolt.Tx) error { return nil }, // 1: the file says its version, and is otherwise as files that say none
	}
}

// redisVersion is that of everything in Redis.
const redisVersion = 1

// redisSchemaKey says which version Redis is in. It is beside the revocation set, as rights to more keys would have to be
// granted before an upgrade.
const redisSchemaKey = "{authd:rev}:schema"

// enterRedis refuses a Redis that needs a newer authd, and tells the others of this one.
func enterRedis(ctx context.Context, client redis.UniversalClient) error {
	runner, err := redisscript.New(redisscript.Config{Client: client})
	if err != nil {
		return err
	}
	if err := runner.Enter(ctx, redisSchemaKey, schema.Of(redisVersion, buildVersion())); err != nil {
		return fmt.Errorf("redis: %s: %w", redisSchemaKey, err)
	}
	return nil
}

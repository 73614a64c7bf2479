package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// connect returns a client of a Redis that the bench started.
func (s endpoint) connect() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.addr, ContextTimeoutEnabled: true})
}

// info returns one number of INFO.
func (s endpoint) info(name string) (float64, error) {
	client := s.connect()
	defer client.Close()
	text, err := client.Info(context.Background()).Result()
	if err != nil {
		return 0, fmt.Errorf("asking redis: %w", err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("redis does not tell %s", name)
}

// slowest is the command that kept the server busy for the longest time since the last call of forgetSlow.
func slowest(ctx context.Context, client *redis.Client) (name string, took time.Duration, err error) {
	log, err := client.SlowLogGet(ctx, -1).Result()
	if err != nil {
		return "", 0, fmt.Errorf("asking redis: %w", err)
	}
	name, took = "none that is worth noting", slow
	for _, s := range log {
		if s.Duration > took {
			name, took = strings.ToLower(strings.Join(s.Args[:min(2, len(s.Args))], " ")), s.Duration
		}
	}
	return name, took, nil
}

// slow is what a command must take to be noted.
const slow = 100 * time.Microsecond

// forgetSlow begins to note slow commands anew.
func forgetSlow(ctx context.Context, client *redis.Client) error {
	if err := client.ConfigSet(ctx, "slowlog-log-slower-than", strconv.FormatInt(slow.Microseconds(), 10)).Err(); err != nil {
		return fmt.Errorf("setting up redis: %w", err)
	}
	if err := client.ConfigSet(ctx, "slowlog-max-len", "100000").Err(); err != nil {
		return fmt.Errorf("setting up redis: %w", err)
	}
	return client.SlowLogReset(ctx).Err()
}

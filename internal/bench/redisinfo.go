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

// busy is what Redis was busy with.
type busy struct {
	command string        // that took longest, of those that were noted
	longest time.Duration // how long that was
	long    int           // commands that took longer than bearable
}

// bearable is how long one command may keep everybody else waiting.
const bearable = 2 * time.Millisecond

// add counts the commands since the last call of forgetSlow.
func (b *busy) add(ctx context.Context, client *redis.Client) error {
	log, err := client.SlowLogGet(ctx, -1).Result()
	if err != nil {
		return fmt.Errorf("asking redis: %w", err)
	}
	for _, s := range log {
		if strings.EqualFold(s.Args[0], "slowlog") { // ours
			continue
		}
		if s.Duration > b.longest {
			b.command, b.longest = strings.ToLower(s.Args[0]), s.Duration
		}
		if s.Duration > bearable {
			b.long++
		}
	}
	return nil
}

// slow is what a command must take to be noted.
const slow = 500 * time.Microsecond

// forgetSlow begins to note slow commands anew.
func forgetSlow(ctx context.Context, client *redis.Client) error {
	if err := client.ConfigSet(ctx, "slowlog-log-slower-than", strconv.FormatInt(slow.Microseconds(), 10)).Err(); err != nil {
		return fmt.Errorf("setting up redis: %w", err)
	}
	if err := client.ConfigSet(ctx, "slowlog-max-len", "10000").Err(); err != nil {
		return fmt.Errorf("setting up redis: %w", err)
	}
	return client.SlowLogReset(ctx).Err()
}

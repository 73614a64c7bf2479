package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

// snapshot delivers the whole set, in pages. Entries only grow, so it need not be of one moment: what changes meanwhile
// comes again from the stream, which the follower reads from where the set was before. Should the set be lost between
// two pages, then the next round finds another epoch, and all is read again.
func (t *follower) snapshot(ctx context.Context, s status) error {
	t.feed.log.Info("reading all revocations", "epoch", s.epoch, "seq", s.seq, "was", t.at.String())
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		members, next, err := t.feed.scan(ctx, cursor)
		if err != nil {
			return unavailable("reading all revocations", err)
		}
		cursor = next
		if t.entries, err = t.feed.complete(ctx, members, t.entries[:0]); err != nil {
			return unavailable("reading all revocations", err)
		}
		if err := t.apply(revocation.Batch{Entries: t.entries}); err != nil {
			return err
		}
	}
	t.at = revocation.Position{Epoch: s.epoch, Seq: s.seq}
	return t.apply(revocation.Batch{Position: t.at})
}

// scan reads a page of the sorted set: members and scores in turn.
func (f *Feed) scan(ctx context.Context, cursor uint64) (members []string, next uint64, err error) {
	var cmd *redis.ScanCmd
	err = f.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) {
		cmd = p.ZScan(ctx, entriesKey, cursor, "", scanPage)
	})
	if err != nil {
		return nil, 0, err
	}
	return cmd.Result()
}

// complete appends the unexpired entries of a page to list.
func (f *Feed) complete(ctx context.Context, members []string, list []revocation.Entry) ([]revocation.Entry, error) {
	var cutoffs []int // positions in list
	var names []string
	now := f.now()
	for i := 0; i+1 < len(members); i += 2 {
		e, err := decodeMember(members[i])
		if err != nil {
			return nil, err
		}
		if e.Expires, err = strconv.ParseInt(members[i+1], 10, 64); err != nil {
			return nil, fmt.Errorf("a stored revocation expires at a time that is no whole second: %w", err)
		}
		if e.Expired(now) {
			continue
		}
		if hasCutoff(e.Kind) {
			cutoffs = append(cutoffs, len(list))
			names = append(names, members[i])
		} else if err := e.Validate(); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if len(names) == 0 {
		return list, nil
	}
	return list, f.fillCutoffs(ctx, list, cutoffs, names)
}

func hasCutoff(k revocation.Kind) bool {
	return k == revocation.Subject || k == revocation.Client || k == revocation.Everything
}

// fillCutoffs reads the cut-offs of the entries at the given positions of list.
func (f *Feed) fillCutoffs(ctx context.Context, list []revocation.Entry, at []int, names []string) error {
	var cmd *redis.SliceCmd
	err := f.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) {
		cmd = p.HMGet(ctx, cutoffsKey, names...)
	})
	if err != nil {
		return err
	}
	for i, v := range cmd.Val() {
		e := &list[at[i]]
		s, _ := v.(string)
		if e.NotBefore, err = strconv.ParseInt(s, 10, 64); err != nil {
			return fmt.Errorf("a stored revocation has no cut-off: %w", err)
		}
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}

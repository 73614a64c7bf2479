package redisstore

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/session"
)

const (
	// lookEvery is the time between two looks at the servers.
	lookEvery = time.Second
	// endings are the looks at a lineage after which sessions are ended again: at once; and half a minute later, when
	// whoever was ending a session across the failover is done, and a primary that was cut off takes no more writes.
	firstEnding, lastEnding = 1, 30
	// holdEvery is how many looks, while a server is out of reach, lie between two times that revocations are noted: less
	// than a revocation lasts.
	holdEvery = 10
	// perPage is how many sessions are ended in one round trip, and pagePause lets others have the server in between.
	perPage   = 200
	pagePause = 5 * time.Millisecond
)

// Run notices when a server has taken up its data from where it may have lost ends that were acknowledged, in a restart or
// a promotion, and ends the sessions again that Config.Revoked names, until ctx ends, which is no error. Every authd does
// that for the sessions that it knows of. Without Config.Revoked there is nothing to do.
//
// The name of a server's lineage (master_replid) tells: each restart and each promotion begins another. What an outage
// outlasts is not forgotten: while a server is out of reach, Run keeps in mind which sessions were revoked.
func (s *Store) Run(ctx context.Context) error {
	if s.revoked == nil {
		<-ctx.Done()
		return nil
	}
	w := watcher{store: s, lineages: map[string]int{}, held: map[session.ID]struct{}{}}
	tick := time.NewTicker(s.lookEvery)
	defer tick.Stop()
	for {
		err := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		w.report(ctx, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watcher is what one Run knows.
type watcher struct {
	store    *Store
	started  bool
	lineages map[string]int // how many looks each server's lineage has had
	held     map[session.ID]struct{}
	failed   int  // looks in a row
	failing  bool // was said
}

// look asks every server for its lineage, and ends sessions again where that is due.
func (w *watcher) look(ctx context.Context) error {
	s := w.store
	servers, err := s.servers(ctx)
	if err != nil {
		if w.failed%holdEvery == 0 {
			w.hold()
		}
		w.failed++
	} else {
		w.failed = 0
		maps.DeleteFunc(w.lineages, func(lineage string, _ int) bool { return servers[lineage] == "" })
	}
	settled := err == nil
	for lineage, addr := range servers {
		looks, known := w.lineages[lineage]
		if !known && !w.started && !s.redis.Cluster() {
			// What this one server has lost, it lost together with the revocations that would name it.
			looks = lastEnding
		}
		looks++
		if looks == firstEnding || looks == lastEnding {
			if err := w.endAgain(ctx, lineage, addr); err != nil {
				return err
			}
		}
		w.lineages[lineage] = looks
		settled = settled && looks >= lastEnding
	}
	if settled && len(w.held) > 0 {
		w.held = map[session.ID]struct{}{} // a map that is cleared keeps its memory
	}
	w.started = true
	return err
}

// hold notes which sessions are revoked now: when the server is back, their revocations may have expired.
func (w *watcher) hold() {
	for id := range w.store.revoked() {
		w.held[id] = struct{}{}
	}
}

// endAgain ends the sessions that a server has and that are known to be revoked. Replicas need not confirm it: what is
// lost again comes with another lineage, and is ended again.
func (w *watcher) endAgain(ctx context.Context, lineage, addr string) error {
	w.hold()
	ended := 0
	page := make([]session.ID, 0, perPage)
	flush := func() error {
		n, err := w.store.endPage(ctx, page)
		ended, page = ended+n, page[:0]
		return err
	}
	for id := range w.held {
		on, err := w.store.isOn(ctx, addr, id)
		if err != nil {
			return err
		}
		if !on {
			continue
		}
		if page = append(page, id); len(page) == perPage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if ended > 0 {
		w.store.log.WarnContext(ctx, "ended sessions again whose end redis had lost", "sessions", ended, "server", addr,
			"lineage", lineage)
	}
	return nil
}

// endPage ends sessions in one round trip and tells how many of them were live.
func (s *Store) endPage(ctx context.Context, ids []session.ID) (live int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	calls := make([]redisscript.Call, len(ids))
	for i, id := range ids {
		calls[i] = redisscript.Call{Script: s.scripts.end, Key: recordKey(id), Args: []any{microsUp(s.keepEnded)}}
	}
	cmds, err := s.redis.RunAll(ctx, calls...)
	if err != nil {
		return 0, fmt.Errorf("ending sessions again: %w", err)
	}
	for i, cmd := range cmds {
		a, err := parseAnswer(cmd, ids[i])
		if err != nil {
			return live, fmt.Errorf("ending sessions again: %w", err)
		}
		if a.code == 1 && a.record.session.EndedAt.Equal(a.now) {
			live++
		}
	}
	timer := time.NewTimer(pagePause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return live, ctx.Err()
	case <-timer.C:
		return live, nil
	}
}

// isOn tells whether a session's record is on the server at addr.
func (s *Store) isOn(ctx context.Context, addr string, id session.ID) (bool, error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return true, nil
	}
	node, err := cluster.MasterForKey(ctx, recordKey(id))
	if err != nil {
		return false, fmt.Errorf("finding the redis node of a session: %w", err)
	}
	return node.Options().Addr == addr, nil
}

// servers returns the addresses of the servers that keep sessions, by the name of their data's lineage. With an error come
// those that could be asked.
func (s *Store) servers(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var mu sync.Mutex
	found := map[string]string{}
	ask := func(ctx context.Context, node *redis.Client) error {
		lineage, err := lineageOf(ctx, node)
		if err != nil {
			return fmt.Errorf("asking redis %s for its lineage: %w", node.Options().Addr, err)
		}
		mu.Lock()
		defer mu.Unlock()
		found[lineage] = node.Options().Addr
		return nil
	}
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return found, ask(ctx, s.client.(*redis.Client))
	}
	err := cluster.ForEachMaster(ctx, ask)
	if err != nil {
		cluster.ReloadState(ctx) // the next look should know the layout as it is then
	}
	return found, err
}

// lineageOf names the history of a server's data: another after each restart and each promotion.
func lineageOf(ctx context.Context, node *redis.Client) (string, error) {
	info, err := node.Info(ctx, "replication").Result()
	if err != nil {
		return "", err
	}
	lineage := ""
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case key == "role" && value != "master":
			return "", fmt.Errorf("it is a %s", value)
		case key == "master_replid":
			lineage = value
		}
	}
	if lineage == "" {
		return "", fmt.Errorf("it does not tell")
	}
	return lineage, nil
}

// report logs once that the servers cannot be watched, and once that they can again.
func (w *watcher) report(ctx context.Context, err error) {
	switch was := w.failing; {
	case err != nil && !was:
		w.store.log.WarnContext(ctx, "watching redis for lost ends of sessions failed, trying again", "err", err)
	case err == nil && was:
		w.store.log.InfoContext(ctx, "watching redis for lost ends of sessions works again")
	}
	w.failing = err != nil
}

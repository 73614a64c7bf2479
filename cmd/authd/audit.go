package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/audit/logfile"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/session"
)

// AuditConfig says where security events are recorded.
type AuditConfig struct {
	AuditFile   string
	AuditSync   time.Duration
	AuditStrict bool

	auditOutput io.Writer // what "-" stands for; standard error if nil
}

func (c *AuditConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.AuditFile, "audit-file", "", "file of the audit log, - for standard output, or none (default: DATA/audit.log)")
	fs.DurationVar(&c.AuditSync, "audit-sync", time.Second, "how often the audit file is synced to the disk; 0s: before each answer")
	fs.BoolVar(&c.AuditStrict, "audit-strict", false, "answer 503 to a login or logout that the audit log does not confirm")
}

func (c *AuditConfig) complete(data string) {
	c.AuditFile = cmp.Or(c.AuditFile, filepath.Join(data, "audit.log"))
}

func (c *AuditConfig) validate() []error {
	return []error{
		require(c.AuditSync >= 0, "audit-sync %v: must not be negative", c.AuditSync),
		require(!c.AuditStrict || c.AuditFile != "none", "audit-file none: nothing could be confirmed with audit-strict"),
	}
}

// auditCloseTime bounds how long the sinks may take what waits for them when authd stops.
const auditCloseTime = 5 * time.Second

// openAudit opens the audit log. It is closed after everything that records.
func (a *app) openAudit() error {
	targets, err := a.auditTargets()
	if err != nil {
		return err
	}
	if a.audit, err = audit.New(audit.Config{Targets: targets, Log: a.log}); err != nil {
		return err
	}
	a.closers = append(a.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), auditCloseTime)
		defer cancel()
		return a.audit.Close(ctx)
	})
	return nil
}

func (a *app) auditTargets() (targets []audit.Target, err error) {
	switch a.cfg.AuditFile {
	case "none":
	case "-":
		w := a.cfg.auditOutput
		if w == nil {
			w = os.Stderr
		}
		targets = append(targets, audit.Target{Name: "output", Sink: audit.NewWriter(w)})
	default:
		file, err := logfile.Open(logfile.Config{Path: a.cfg.AuditFile, SyncEvery: a.cfg.AuditSync})
		if err != nil {
			return nil, fmt.Errorf("audit-file: %w", err)
		}
		a.closers = append(a.closers, file.Close)
		targets = append(targets, audit.Target{Name: "file", Sink: file})
	}
	return targets, nil
}

// recordStart records that this process serves, and what it was told.
func (a *app) recordStart(ctx context.Context, issuer string) {
	_ = a.audit.Record(ctx, audit.Event{
		Type: audit.Started, Actor: audit.Actor{Type: audit.System, ID: a.identity},
		Details: map[string]string{
			"version": buildVersion(), "issuer": issuer, "audience": strings.Join(a.cfg.Audience, " "), "users": a.cfg.whereUsers(),
			"sessions": a.cfg.where(), "keys": a.cfg.whoRotates(), "access_ttl": a.cfg.AccessTTL.String(),
			"max_staleness": a.cfg.MaxStaleness.String(), "audit_strict": strconv.FormatBool(a.cfg.AuditStrict),
		},
	})
}

// watchTransitions records who leads, and, where this process does, which key signs. It looks every now and then, as neither
// changes often; a leader that came and went in between is left out.
func (a *app) watchTransitions(ctx context.Context) error {
	ticker := time.NewTicker(auditLook)
	defer ticker.Stop()
	var seen transitions
	for {
		a.recordTransitions(ctx, &seen)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// auditLook is how often transitions are looked for.
const auditLook = 250 * time.Millisecond

// transitions are what was recorded last.
type transitions struct {
	changes uint64 // of the leader
	active  string // the kid that signs
}

func (a *app) recordTransitions(ctx context.Context, seen *transitions) {
	sight := a.leadership.Sight()
	if sight.Name != "" && sight.Changes != seen.changes {
		seen.changes = sight.Changes
		_ = a.audit.Record(ctx, audit.Event{
			Type: audit.LeaderChanged, Actor: audit.Actor{Type: audit.System, ID: a.identity},
			Details: map[string]string{"leader": sight.Name, "self": strconv.FormatBool(sight.Self)},
		})
	}
	ring, _, err := a.view.Ring()
	if err != nil {
		return
	}
	for _, k := range ring.Keys {
		if k.State != keys.Active || k.ID == seen.active {
			continue
		}
		if sight.Self && seen.active != "" {
			_ = a.audit.Record(ctx, audit.Event{
				Type: audit.KeyActive, Actor: audit.Actor{Type: audit.System, ID: a.identity},
				Details: map[string]string{"kid": k.ID, "previous": seen.active, "algorithm": k.Algorithm},
			})
		}
		seen.active = k.ID
	}
}

// auditedEnds records the sessions that end, whatever ends them.
type auditedEnds struct{ log *audit.Log }

// Ended implements [session.Observer].
func (e auditedEnds) Ended(ctx context.Context, by session.EndedBy, ended ...session.Session) {
	for _, s := range ended {
		event := audit.Event{
			Type: audit.SessionEnded, Reason: string(by), Subject: s.Subject, Username: s.Username, ClientID: s.ClientID, SessionID: s.ID.String(),
		}
		if by == session.ByReuse {
			reused := event
			reused.Type, reused.Outcome, reused.Reason = audit.RefreshReused, audit.Failure, ""
			_ = e.log.Record(ctx, reused)
		}
		_ = e.log.Record(ctx, event)
	}
}

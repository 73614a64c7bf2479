package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/audit/logfile"
	"github.com/authd-project/authd/audit/webhook"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/session"
)

// AuditConfig says where security events are recorded.
type AuditConfig struct {
	AuditFile   string
	AuditSync   time.Duration
	AuditStrict bool

	AuditWebhooks          []string
	AuditWebhookSecretFile string

	auditOutput io.Writer // what "-" stands for; standard error if nil
}

func (c *AuditConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.AuditFile, "audit-file", "", "file of the audit log, - for standard output, or none (default: DATA/audit.log)")
	fs.DurationVar(&c.AuditSync, "audit-sync", time.Second, "how often the audit file is synced to the disk; 0s: before each answer")
	fs.BoolVar(&c.AuditStrict, "audit-strict", false, "answer 503 to a login or logout that the audit log does not confirm")
	fs.StringSliceVar(&c.AuditWebhooks, "audit-webhooks", nil, "receivers that are told of events, each URL [TYPE ...]; without a type of all events")
	fs.StringVar(&c.AuditWebhookSecretFile, "audit-webhook-secret-file", "", "file of the secret by which webhooks are signed (default: DATA/audit-webhook-secret, made at the first start)")
}

func (c *AuditConfig) complete(data string) {
	c.AuditFile = cmp.Or(c.AuditFile, filepath.Join(data, "audit.log"))
	c.AuditWebhookSecretFile = cmp.Or(c.AuditWebhookSecretFile, webhookSecret(data))
}

// webhookSecret is the secret's file unless another one is set. Only that one is made.
func webhookSecret(data string) string { return filepath.Join(data, "audit-webhook-secret") }

// parseWebhook reads "URL [TYPE ...]".
func parseWebhook(text string) (url string, only []audit.Type, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return "", nil, errors.New("audit-webhooks: an empty one")
	}
	if err := webhook.CheckURL(words[0]); err != nil {
		return "", nil, fmt.Errorf("audit-webhooks %q: %w", words[0], err)
	}
	for _, word := range words[1:] {
		if !audit.Type(word).Known() {
			return "", nil, fmt.Errorf("audit-webhooks %q: no event has the type %q", words[0], word)
		}
		only = append(only, audit.Type(word))
	}
	return words[0], only, nil
}

func (c *AuditConfig) validateWebhooks() error {
	var problems []error
	var seen []string
	for _, text := range c.AuditWebhooks {
		url, _, err := parseWebhook(text)
		problems = append(problems, err, require(!slices.Contains(seen, url), "audit-webhooks %q: given twice", url))
		seen = append(seen, url)
	}
	return errors.Join(problems...)
}

func (c *AuditConfig) validate() []error {
	return []error{
		c.validateWebhooks(),
		require(c.AuditSync >= 0, "audit-sync %v: must not be negative", c.AuditSync),
		require(!c.AuditStrict || c.AuditFile != "none", "audit-file none: nothing could be confirmed with audit-strict"),
	}
}

// auditCloseTime bounds how long the sinks may take what waits for them when authd stops.
const auditCloseTime = 5 * time.Second

// openAudit opens the audit log. It is closed after everything that records.
func (a *app) openAudit(ctx context.Context, issuer string, file *boltfile.File) error {
	targets, err := a.auditTargets()
	if err != nil {
		return err
	}
	hooks, err := a.openWebhooks(file)
	if err != nil {
		return err
	}
	signals, err := a.openSSF(ctx, issuer, file)
	if err != nil {
		return err
	}
	targets = slices.Concat(targets, hooks, signals)
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

// openWebhooks opens the spool of each receiver. The command line tells them, too, of what it does without a server.
func (a *app) openWebhooks(file *boltfile.File) (targets []audit.Target, err error) {
	if len(a.cfg.AuditWebhooks) == 0 {
		return nil, nil
	}
	secret, err := readOrMakeSecret(a.cfg.AuditWebhookSecretFile, a.cfg.AuditWebhookSecretFile == webhookSecret(a.cfg.Data))
	if err != nil {
		return nil, fmt.Errorf("audit-webhook-secret-file: %w", err)
	}
	for i, text := range a.cfg.AuditWebhooks {
		url, only, err := parseWebhook(text)
		if err != nil {
			return nil, err
		}
		hook, err := webhook.Open(webhook.Config{URL: url, Secret: []byte(secret), Spool: file, Around: a.tracedRequests("audit"), Log: a.log})
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, hook.Close)
		targets = append(targets, audit.Target{Name: fmt.Sprintf("webhook%d", i+1), Sink: hook, Only: only})
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
type auditedEnds struct{ log auditRecorder }

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

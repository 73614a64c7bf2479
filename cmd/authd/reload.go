package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/audit"
)

// effect says when a change of a setting takes effect.
type effect string

const (
	onReload  effect = "reload"  // with a reload
	onRestart effect = "restart" // when authd starts again
	// onReloadFile is that of a setting that names a file: what is in the file takes effect with a reload, another file when
	// authd starts again.
	onReloadFile effect = "file"
)

// effects says of each setting when a change takes effect. What wants a restart is what others rely on for as long as authd
// runs, as the life of tokens and keys, or what is open: stores, listeners.
func effects() map[string]effect {
	all := make(map[string]effect)
	for e, names := range map[effect]string{
		onReload:     "clients login-limits log-level password-blocklist rate-limits scopes trusted-proxies",
		onReloadFile: "etcd-cert etcd-key kek-file oauth-clients redis-password-file users-password-file",
		onRestart: "access-ttl admin-listen admin-token-file algorithm audience audit-file audit-strict audit-sync audit-webhook-secret-file " +
			"audit-webhooks console-role data demo dpop-max-age dpop-nonces drain-timeout election election-lease etcd etcd-ca " +
			"etcd-password-file etcd-prefix etcd-username ext-authz-listen factors hash-pool insecure-issuer issuer jwks-max-age " +
			"jwks-overstay keys kubeconfig kubernetes-lease kubernetes-namespace kubernetes-secret leeway listen log-format " +
			"max-connections max-staleness otlp-ca otlp-endpoint otlp-headers-file pages publish-ahead publish-ahead-least redis " +
			"redis-replicas refresh-grace refresh-replays require-factor return-to rotate-every session-absolute session-idle " +
			"shutdown-delay site-name skew ssf ssf-push-hosts status-list-size status-list-ttl status-lists trace-parents " +
			"trace-sample users view-age",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = e
		}
	}
	return all
}

// values are what each setting says.
func (c *Config) values() map[string]string {
	var bound Config
	flags := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	bound.bind(flags)
	bound = *c // which the flags point into
	values := make(map[string]string)
	flags.VisitAll(func(f *pflag.Flag) {
		if s, ok := f.Value.(*userSources); ok { // which does not show itself
			values[f.Name] = strings.Join(*s, ",")
			return
		}
		values[f.Name] = f.Value.String()
	})
	return values
}

// changedSettings are those that say something else, in order.
func changedSettings(before, after Config) (names []string) {
	now := after.values()
	for name, value := range before.values() {
		if now[name] != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reloader takes over settings while authd runs.
type reloader struct {
	app *app

	mu      sync.Mutex
	current Config                       // whose settings are in effect
	users   map[string][sha256.Size]byte // files of the setting users, as they were at the start

	success, at prometheus.Gauge
}

func (a *app) openReload() error {
	if a.cfg.reread == nil {
		return nil
	}
	users, err := a.cfg.userFileSums()
	if err != nil {
		return err
	}
	r := &reloader{
		app: a, current: a.cfg, users: users,
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "authd_config_reload_success", Help: "1 if the settings were taken over when they were last read, at the start or by a reload.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "authd_config_reload_timestamp_seconds", Help: "When the settings were last taken over, in Unix seconds.",
		}),
	}
	r.done(nil)
	a.adminConfig.Reload = r.Reload
	if err := errors.Join(a.registry.Register(r.success), a.registry.Register(r.at)); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	a.reloads = r
	return nil
}

func (r *reloader) done(err error) {
	if err != nil {
		r.success.Set(0)
		return
	}
	r.success.Set(1)
	r.at.Set(float64(time.Now().UnixMilli()) / 1e3)
}

// Reload implements [httpapi.Reload]. What is in files is read again even if no setting has changed.
func (r *reloader) Reload(ctx context.Context) (changed []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, err = r.reload(ctx)
	r.done(err)
	event := audit.Event{Type: audit.ConfigReloaded, Details: map[string]string{"settings": strings.Join(changed, " ")}}
	if err != nil {
		event.Outcome, event.Reason = audit.Failure, "refused"
		r.app.log.ErrorContext(ctx, "settings are not taken over; those before stay in effect", "err", err)
	} else {
		r.app.log.InfoContext(ctx, "settings taken over", "changed", changed)
	}
	_ = r.app.audit.Record(ctx, event) // what it was asked for is done or refused, whoever is told
	return changed, err
}

// reload makes everything new that the settings ask for, and puts it in the place of the old once nothing can fail any more.
func (r *reloader) reload(ctx context.Context) (changed []string, err error) {
	next, err := r.app.cfg.reread()
	if err != nil {
		return nil, fmt.Errorf("settings:\n%w", err)
	}
	changed = changedSettings(r.current, next)
	when := effects()
	if fixed := slices.DeleteFunc(slices.Clone(changed), func(name string) bool { return when[name] == onReload }); len(fixed) > 0 {
		return changed, fmt.Errorf("%s: a change wants a restart; nothing was changed", strings.Join(fixed, ", "))
	}
	if err := r.checkUserFiles(next); err != nil {
		return changed, err
	}
	var problems []error
	var swaps []func()
	for _, prepare := range []func(context.Context, Config) (swap func(), err error){
		r.app.prepareLog, r.app.prepareListeners, r.app.prepareOAuthClients, r.app.preparePasswords, r.app.connections.prepareSecrets,
	} {
		swap, err := prepare(ctx, next)
		problems, swaps = append(problems, err), append(swaps, swap)
	}
	if err := errors.Join(problems...); err != nil {
		return changed, err
	}
	swap, err := r.app.prepareKEKs(ctx, next) // last, as it seals the key of the second factors anew
	if err != nil {
		return changed, err
	}
	for _, swap := range append(swaps, swap) {
		swap()
	}
	r.current = next
	return changed, nil
}

// checkUserFiles refuses a change of what the setting users means.
func (r *reloader) checkUserFiles(next Config) error {
	sums, err := next.userFileSums()
	if err != nil {
		return err
	}
	for _, element := range next.Users {
		if sums[element] != r.users[element] {
			err = errors.Join(err, fmt.Errorf("users: %s: a change of the file wants a restart; nothing was changed", element))
		}
	}
	return err
}

// onHangup reloads on each SIGHUP until ctx ends. What is wrong is logged, counted and recorded.
func (r *reloader) onHangup(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-hangups:
			_, _ = r.Reload(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// catchHangups keeps SIGHUP from ending the process.
func catchHangups() (hangups <-chan os.Signal, stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGHUP)
	return ch, func() { signal.Stop(ch) }
}

func newReloadCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "reload",
		Short:   "Have the running authd read its settings again, as SIGHUP does, and say what it made of them",
		GroupID: "operate",
		Args:    cobra.NoArgs,
	}
	s := newSettings(cmd)
	s.flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !commonSetting(f.Name) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := s.load(env.getenv)
		if cfg.AdminListen == "" { // settings that are wrong are for the running authd to refuse
			cfg = s.Config
		}
		c, clientErr := runningAdmin(cfg)
		if clientErr != nil {
			return errors.Join(err, clientErr)
		}
		changed, err := c.Reload(cmd.Context())
		if err != nil {
			return err
		}
		text := "settings read again: none had changed"
		if len(changed) > 0 {
			text = "taken over: " + strings.Join(changed, ", ")
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func newServeCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Run the service; with no settings, on the embedded default",
		GroupID: "service",
		Args:    cobra.NoArgs,
	}
	s := newSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := s.load(env.getenv)
		if err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		cfg.level = new(slog.LevelVar)
		cfg.reread = func() (Config, error) { return readAgain(env) }
		return serve(cmd.Context(), cfg, env.stdout, newLogger(cfg, env.stderr))
	}
	return cmd
}

// readAgain reads the settings of `authd serve` as they are now.
func readAgain(env environment) (Config, error) {
	cmd := &cobra.Command{Use: "serve"}
	s := newSettings(cmd)
	if err := cmd.ParseFlags(env.args); err != nil {
		return Config{}, err
	}
	return s.load(env.getenv)
}

// serve runs authd until ctx ends.
func serve(ctx context.Context, cfg Config, stdout io.Writer, log *slog.Logger) (err error) {
	hangups, stopHangups := catchHangups()
	defer stopHangups()
	public, admin, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = public.close() }() // at its end Serve has closed it
	defer admin.Close()
	issuer := cfg.issuerAt(public.addr)
	cfg.auditOutput = stdout
	a, err := newApp(ctx, cfg, issuer, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.prepareDemo(ctx); err != nil {
		return err
	}
	a.announce(stdout, issuer, public.addr, admin.Addr())
	a.recordStart(ctx, issuer)
	extAuthz, err := a.openExtAuthz(ctx, stdout)
	if err != nil {
		return err
	}

	// Requests that are being answered need the background work, so it ends after the servers have drained.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	jobs := make(chan error, 1)
	go func() { jobs <- a.run(background) }()

	servers, serving := errgroup.WithContext(ctx)
	a.stopping, a.listening = serving.Err, public.check
	servers.Go(func() error { return a.servePublic(serving, public, stdout) })
	servers.Go(func() error { return a.admin.Serve(serving, admin) })
	servers.Go(func() error { return extAuthz(serving) })
	if a.reloads != nil {
		servers.Go(func() error { return a.reloads.onHangup(serving, hangups) })
	}
	servers.Go(func() error {
		select {
		case err := <-jobs: // only ever early because it failed: the servers must not go on without it
			jobs <- nil
			return fmt.Errorf("background work: %w", err)
		case <-serving.Done():
			return nil
		}
	})
	err = servers.Wait()
	stop()
	return errors.Join(err, <-jobs)
}

func listen(ctx context.Context, cfg Config) (public *port, admin net.Listener, err error) {
	if public, err = newPort(ctx, cfg.Listen); err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if admin, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.AdminListen); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("admin-listen: %w", err), public.close())
	}
	return public, admin, nil
}

// announce tells a person what was chosen and where everything is.
func (a *app) announce(w io.Writer, issuer string, public string, admin net.Addr) {
	policy := a.cfg.keyPolicy()
	fmt.Fprintf(w, `authd %s, sessions and revocations in %s, %s
  public API  http://%s
  admin API   http://%s (bearer token in %s)
  issuer      %s
  audience    %s
  data        %s
  users       %s
  tokens      %s for %v, keys rotate every %v, revocations reach every verifier within %v
`, buildVersion(), a.cfg.where(), a.cfg.whoRotates(), public, admin, a.cfg.AdminTokenFile, issuer, joined(a.cfg.Audience), a.cfg.Data, a.cfg.whereUsers(),
		policy.Algorithm, a.cfg.AccessTTL, policy.RotateEvery, a.cfg.MaxStaleness)
	if a.cfg.Demo {
		fmt.Fprintf(w, "  to try      user %s, password %q; client %s, secret %q\n", demoUser, demoPassword, demoClient, demoSecret)
	}
}

// where says in what sessions and revocations are kept.
func (c *Config) where() string {
	if c.Redis != "" {
		return "Redis"
	}
	return "the data folder"
}

// whoRotates says in what the key ring is kept, and how its keeper is chosen.
func (c *Config) whoRotates() string {
	if c.Election == "solo" {
		return "keys too"
	}
	return fmt.Sprintf("keys in %s with a leader elected by %s", c.Keys, c.Election)
}

func newLogger(cfg Config, w io.Writer) *slog.Logger {
	level := cfg.level
	if level == nil {
		level = new(slog.LevelVar)
	}
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // validated
	options := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/internal/boltfile"
)

// offlineStart bounds how long the stores may take to get ready for a single command, beside the election.
const offlineStart = 15 * time.Second

// adminCommand makes cmd one that needs the admin API: that of the running authd, or, when none runs on the data
// folder, the same API served by this process to itself for as long as the command takes.
func adminCommand(env environment, cmd *cobra.Command, do func(cmd *cobra.Command, args []string, c *adminclient.Client) error) *cobra.Command {
	s := newSettings(cmd)
	s.flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !commonSetting(f.Name) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := s.load(env.getenv)
		if err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		return withAdmin(cmd.Context(), cfg, env, func(ctx context.Context, c *adminclient.Client) error {
			cmd.SetContext(ctx)
			return do(cmd, args, c)
		})
	}
	return cmd
}

// commonSetting tells which settings say where the running authd is; the others matter only when none runs, and are
// left out of the help of commands.
func commonSetting(name string) bool {
	switch name {
	case "admin-listen", "admin-token-file", "config", "data":
		return true
	}
	return false
}

// withAdmin calls do with a client of the admin API.
func withAdmin(ctx context.Context, cfg Config, env environment, do func(context.Context, *adminclient.Client) error) error {
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", cfg.AdminListen)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return offline(ctx, cfg, env, do)
	}
	if err != nil {
		return fmt.Errorf("admin-listen: %w", err)
	}
	conn.Close()
	c, err := runningAdmin(cfg)
	if err != nil {
		return err
	}
	return do(ctx, c)
}

// runningAdmin is a client of the admin API of the running authd.
func runningAdmin(cfg Config) (*adminclient.Client, error) {
	token, err := readOrMakeSecret(cfg.AdminTokenFile, false)
	if err != nil {
		return nil, fmt.Errorf("admin-token-file (is data %s that of the running authd?): %w", cfg.Data, err)
	}
	return adminclient.New(adminclient.Config{URL: "http://" + cfg.AdminListen, Token: token})
}

// offline opens the data folder and asks its admin API within this process while do runs.
func offline(ctx context.Context, cfg Config, env environment, do func(context.Context, *adminclient.Client) error) (err error) {
	cfg.LogFormat, cfg.LogLevel, cfg.OTLPEndpoint = "text", "warn", ""
	a, err := newApp(ctx, cfg, cfg.issuerAt(cfg.Listen), newLogger(cfg, env.stderr))
	if errors.Is(err, boltfile.ErrLocked) {
		return fmt.Errorf("an authd runs on %s, but its admin API is not on %s; set admin-listen: %w",
			cfg.Data, cfg.AdminListen, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	c, err := adminclient.New(adminclient.Config{
		URL: "http://" + cfg.AdminListen, Token: a.adminToken, Transport: adminclient.InProcess(a.admin),
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	g.Go(func() error { return a.run(running) })
	g.Go(func() error {
		defer stop()
		started, cancel := context.WithTimeout(running, offlineStart+2*cfg.ElectionLease)
		defer cancel()
		if err := errors.Join(a.awaitReady(started), a.awaitLeader(started)); err != nil {
			return err
		}
		return do(running, c)
	})
	return g.Wait()
}

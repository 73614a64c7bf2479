package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/election"
)

// electorConfig is what `authd elector` can be told. Its own settings are flags only: in the environment and in a file,
// "election" means that of the service.
type electorConfig struct {
	ConnectionConfig
	Election, Backend string
	HTTP              string
	Identity          string
	HandOver          time.Duration
}

func newElectorCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "elector --election NAME --backend redis|etcd|kubernetes",
		Short: "Elect a leader among the programs beside it, and answer over HTTP who that is",
		Long: `elector is for programs in any language of which one at a time shall work. Run one beside each: they elect among
themselves, and GET / answers {"name":"…","self":true|false,"valid_for_ms":…}. The connection's settings are also read
from the environment, as those of "authd serve".`,
		GroupID: "service",
		Args:    cobra.NoArgs,
	}
	var c electorConfig
	flags := cmd.Flags()
	flags.StringVar(&c.Election, "election", "", "name of the election; with kubernetes, of a Lease that exists")
	flags.StringVar(&c.Backend, "backend", "", "what elects: redis, etcd or kubernetes")
	flags.StringVar(&c.HTTP, "http", "127.0.0.1:4040", "address to answer on")
	flags.StringVar(&c.Identity, "identity", hostname(), "name that is answered while this one leads")
	flags.DurationVar(&c.HandOver, "hand-over", time.Second, "how long the lease is kept after SIGTERM while the answer is that nobody leads; ask more often than that")
	s := newSources(cmd, c.bind)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(s.read(env.getenv), c.validate()); err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		return c.run(cmd.Context(), env.stdout, newLogger(Config{LogLevel: "info"}, env.stderr))
	}
	return cmd
}

func (c *electorConfig) validate() error {
	return errors.Join(
		require(c.Election != "", "election: required, the name of what is elected"),
		oneOf("backend", c.Backend, "redis", "etcd", "kubernetes"),
		c.requires("backend", c.Backend),
		address("http", c.HTTP),
		require(c.Identity != "", "identity: required"),
		require(c.HandOver >= 0, "hand-over %v: must not be negative", c.HandOver),
		c.ConnectionConfig.validate(),
	)
}

// run stands for election until ctx ends, and answers a little longer, until the lease is given up.
func (c *electorConfig) run(ctx context.Context, stdout io.Writer, log *slog.Logger) (err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	defer l.Close()
	connections := &connections{cfg: c.ConnectionConfig, log: log}
	defer func() { err = errors.Join(err, connections.close()) }()
	elector, err := connections.openElection(candidacy{
		backend: c.Backend, name: c.Election, lease: c.Election, identity: c.Identity, log: log,
	})
	if err != nil {
		return err
	}
	o, err := election.NewObserver(election.ObserverConfig{Elector: elector, Identity: c.Identity, Lease: c.ElectionLease, Log: log})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "elector of %s in %s, as %s, on http://%s\n", c.Election, c.Backend, c.Identity, l.Addr())

	answering, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, answering := errgroup.WithContext(answering)
	g.Go(func() error { return serveSight(answering, l, o) })
	g.Go(func() error { return o.Run(answering) })
	g.Go(func() error {
		defer stop()
		standing, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(answering, cancel)() // nobody leads whose answers nobody hears
		return o.Lead(standing, func(leading context.Context) error { return c.lead(standing, leading) })
	})
	return g.Wait()
}

// lead holds the leadership. When it ends because the process does, the answer changes at once and the lease is kept for
// a little longer, so that the program beside has stopped before another is told to begin.
func (c *electorConfig) lead(standing, leading context.Context) error {
	<-leading.Done()
	if standing.Err() != nil {
		time.Sleep(c.HandOver)
	}
	return nil
}

// serveSight answers until ctx ends.
func serveSight(ctx context.Context, l net.Listener, o *election.Observer) error {
	const bound = 5 * time.Second
	server := &http.Server{
		Handler: sightHandler(o), ReadTimeout: bound, WriteTimeout: bound, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	end := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
		defer cancel()
		end <- server.Shutdown(draining)
	})()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return <-end
}

// sightHandler answers in the form of the classic leader-elector sidecar.
func sightHandler(o *election.Observer) http.Handler {
	mux := http.NewServeMux()
	answer := func(path string, body func(election.Sight) any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(body(o.Sight())) // whoever asked is gone
		})
	}
	answer("/{$}", func(s election.Sight) any {
		return struct {
			Name       string `json:"name"`
			Self       bool   `json:"self"`
			ValidForMS int64  `json:"valid_for_ms"`
		}{s.Name, s.Self, s.ValidFor.Milliseconds()}
	})
	answer("/isLeader", func(s election.Sight) any {
		return struct {
			IsLeader bool `json:"isLeader"`
		}{s.Self}
	})
	answer("/livez", func(election.Sight) any { return map[string]string{"status": "live"} })
	return mux
}

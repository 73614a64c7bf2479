package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/internal/loadtest"
)

// benchConfig is what `authd bench` can be told.
type benchConfig struct {
	target   loadtest.Config
	load     loadtest.Load
	mix      string
	arrivals string
	accounts benchAccounts

	knee             bool
	kneeStep, atMost float64
	bounds           loadtest.Bounds

	json, plot string
	quiet      bool
}

func newBenchCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a running authd as its clients do, and say how long it took and what failed",
		Long: `bench logs in, refreshes, verifies and logs out at a running authd, at a given rate: requests come when they are due,
whether those before were answered or not, and latencies count from then. Each logout is followed to every verifier.

  authd bench --demo                                against "authd serve --demo" on this machine
  authd bench --rate 2000 --duration 5m             with accounts made for it through the admin API, and removed again
  authd bench --knee --mix forward-auth=1           the highest rate at which nobody waits long
  authd bench --service http://127.0.0.1:9090/orders --mix login=1,service=98,logout=1 --json run.json --plot run.svg

The operations of --mix are login, refresh, verify (by the middleware's guards, in this process), forward-auth (GET
/v1/verify), introspect, service (a URL that the middleware guards) and logout. It ends the sessions that it began. It
exits with 1 when a request failed that should not have; answers 429 and 503 are counted apart.`,
		GroupID: "operate",
		Args:    cobra.NoArgs,
	}
	var c benchConfig
	c.flags(cmd.Flags())
	s := newSources(cmd, c.accounts.bind)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(s.read(env.getenv), c.complete()); err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		return c.run(cmd.Context(), env)
	}
	return cmd
}

func (c *benchConfig) flags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&c.target.URLs, "url", []string{"http://127.0.0.1:8080"}, "public API of an authd; of several that share their sessions, each is used")
	fs.StringSliceVar(&c.target.Services, "service", nil, "URL that a service guards with the middleware")
	fs.StringVar(&c.mix, "mix", "login=2,refresh=10,verify=50,forward-auth=36,logout=2", "operations and their weights")
	fs.Float64Var(&c.load.Rate, "rate", 100, "requests a second, of all operations; the first rate of --knee")
	fs.DurationVar(&c.load.Duration, "duration", 30*time.Second, "how long to measure; each step of --knee")
	fs.DurationVar(&c.load.Warmup, "warmup", 5*time.Second, "how long to load before anything counts")
	fs.StringVar(&c.arrivals, "arrivals", string(loadtest.Poisson), "poisson (independent clients) or even (equal gaps)")
	fs.Uint64Var(&c.load.Seed, "seed", 1, "of the arrivals")
	fs.IntVar(&c.target.Connections, "connections", 64, "requests at once")
	fs.IntVar(&c.load.Sessions, "sessions", 0, "sessions to begin before (default: twice the connections, or the refreshes of a second)")
	fs.IntVar(&c.target.MaxSessions, "max-sessions", 100_000, "refuse a load that would hold more sessions")
	fs.IntVar(&c.target.MaxReplays, "max-replays", 32, "refreshes of a session within the grace; below the server's refresh-replays")
	fs.IntVar(&c.target.Guards, "guards", 4, "guards of the middleware in this process, which hear of logouts")
	fs.DurationVar(&c.target.MaxStaleness, "bound", 5*time.Second, "within which every verifier must refuse who has logged out")
	fs.DurationVar(&c.target.Leeway, "leeway", 30*time.Second, "clock difference that the guards allow; not more than authd's leeway")
	fs.DurationVar(&c.target.Timeout, "timeout", 10*time.Second, "of a request")
	fs.DurationVar(&c.target.Patience, "patience", 0, "how long to try again when no server can be reached, as while one restarts")
	fs.StringVar(&c.target.Audience, "audience", "authd", "the \"aud\" of access tokens")
	fs.StringSliceVar(&c.target.Metrics, "metrics", nil, "metrics of the servers (default: at admin-listen, if there are some)")
	fs.BoolVar(&c.target.Remote, "this-may-be-brought-down", false, "load a target that is not on this machine; use it for your own only")

	fs.BoolVar(&c.knee, "knee", false, "raise the rate until a bound below is exceeded, and find the highest that holds them")
	fs.Float64Var(&c.kneeStep, "knee-step", 1.5, "factor from one rate to the next")
	fs.Float64Var(&c.atMost, "knee-most", 100_000, "the last rate that is tried")
	fs.DurationVar(&c.bounds.P99, "max-p99", 100*time.Millisecond, "bound of --knee for each operation but login")
	fs.DurationVar(&c.bounds.LoginP99, "max-login-p99", time.Second, "bound of --knee for logins")
	fs.Float64Var(&c.bounds.Errors, "max-errors", 0.001, "bound of --knee for the share of requests not answered as asked")

	fs.StringVar(&c.json, "json", "", "file for everything that was measured, as JSON")
	fs.StringVar(&c.plot, "plot", "", "file for a picture of it, as SVG")
	fs.BoolVar(&c.quiet, "quiet", false, "show no progress")
}

// complete checks what can be checked without a server.
func (c *benchConfig) complete() (err error) {
	c.load.Arrivals = loadtest.Arrivals(c.arrivals)
	if c.load.Mix, err = loadtest.ParseMix(c.mix); err != nil {
		err = fmt.Errorf("mix: %w", err)
	}
	_, wrong := loadtest.NewSchedule(c.load.Arrivals, c.load.Rate, c.load.Seed)
	var search error
	if c.knee {
		_, search = loadtest.NewSearch(c.load.Rate, c.kneeStep, c.atMost)
	}
	return errors.Join(err, wrong, search,
		require(c.load.Duration > 0 && c.load.Warmup >= 0, "duration must be above 0, and warmup not negative"),
		require(c.load.Sessions >= 0, "sessions %d: must not be negative", c.load.Sessions),
		c.accounts.validate(),
	)
}

func (c *benchConfig) run(ctx context.Context, env environment) (err error) {
	outputs, err := createAll(c.json, c.plot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, outputs.close()) }()
	if err := c.accounts.open(ctx, &c.target); err != nil {
		return err
	}
	// What was begun is ended, also after an interrupt; a second one ends the process.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer cancel()
	defer func() { err = errors.Join(err, c.accounts.close(ending)) }()
	t, err := loadtest.Open(ctx, c.target)
	if errors.Is(err, loadtest.ErrRemote) {
		err = fmt.Errorf("%w (--this-may-be-brought-down allows it)", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close(ending)) }()
	line := newProgressLine(env.stderr, c.quiet)
	c.load.Progress = line.show
	r, err := c.measure(ctx, t)
	line.end()
	if err != nil {
		return err
	}
	if err := r.WriteTable(env.stdout); err != nil {
		return err
	}
	if err := errors.Join(outputs.write(c.json, r.WriteJSON), outputs.write(c.plot, r.WritePlot)); err != nil {
		return err
	}
	if n := r.Failed(); n > 0 {
		return fmt.Errorf("%d requests failed unexpectedly", n)
	}
	return nil
}

func (c *benchConfig) measure(ctx context.Context, t *loadtest.Target) (*loadtest.Report, error) {
	if !c.knee {
		return t.Run(ctx, c.load)
	}
	search, err := loadtest.NewSearch(c.load.Rate, c.kneeStep, c.atMost)
	if err != nil {
		return nil, err
	}
	return t.Knee(ctx, c.load, search, c.bounds)
}

// outputFiles are made before anything is measured, so that a name that cannot be written is noticed then.
type outputFiles map[string]*os.File

func createAll(names ...string) (outputFiles, error) {
	files := outputFiles{}
	for _, name := range names {
		if name == "" {
			continue
		}
		f, err := os.Create(name)
		if err != nil {
			return nil, errors.Join(err, files.close())
		}
		files[name] = f
	}
	return files, nil
}

func (o outputFiles) close() error {
	var errs []error
	for _, f := range o {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

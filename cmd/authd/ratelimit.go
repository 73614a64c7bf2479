package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/redislimit"
)

// LimitConfig says how often clients may come, and how often logins may fail.
type LimitConfig struct {
	RateLimits  []string // ROUTE=POLICY
	LoginLimits []string // BUDGET=POLICY
}

func (c *LimitConfig) bind(fs *pflag.FlagSet) {
	logins := ratelimit.DefaultLoginPolicies()
	fs.StringSliceVar(&c.RateLimits, "rate-limits", nil, "how often one client may use a route, each ROUTE=ALGORITHM LIMIT/WINDOW [burst BURST], or ROUTE=none; routes: "+
		strings.Join(httpapi.RateLimitNames(), ", ")+"; algorithms: fixed-window, sliding-window, token-bucket, leaky-bucket (default: "+
		joinPolicies(defaultRateLimits())+")")
	fs.StringSliceVar(&c.LoginLimits, "login-limits", nil, "how many logins may fail, each BUDGET=token-bucket LIMIT/WINDOW [burst BURST]; see docs/ratelimit.md (default: "+
		joinPolicies(loginBudgets(&logins))+")")
}

func (c *LimitConfig) validate() error {
	_, err := c.rateLimits()
	_, loginErr := c.loginPolicies()
	return errors.Join(err, loginErr)
}

// defaultRateLimits are of the one route that costs much without a password: a new stream may begin with the whole
// revocation set. They are far above what honest clients need behind one address. Other routes are answered from memory,
// or bounded otherwise: logins by the guard of failed ones, and refreshes, which would need one more round trip each, by
// the grace of their session. Nobody is kept from logging out.
func defaultRateLimits() map[string]string {
	return map[string]string{"revocations": "token-bucket 100/1s burst 1000"}
}

// rateLimits returns the policies of the routes that have one: the defaults, changed by the setting.
func (c *LimitConfig) rateLimits() (map[string]ratelimit.Policy, error) {
	texts := defaultRateLimits()
	given, err := assignments("rate-limits", c.RateLimits)
	maps.Copy(texts, given)
	problems := []error{err}
	policies := make(map[string]ratelimit.Policy)
	for _, route := range slices.Sorted(maps.Keys(texts)) {
		if !slices.Contains(httpapi.RateLimitNames(), route) {
			problems = append(problems, fmt.Errorf("rate-limits %q: no such route: want one of %s", route, strings.Join(httpapi.RateLimitNames(), ", ")))
			continue
		}
		if texts[route] == "none" {
			continue
		}
		p, err := ratelimit.ParsePolicy(texts[route])
		if err == nil {
			err = httpapi.CheckRateLimit(route, p)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("rate-limits %s: %w", route, err))
			continue
		}
		policies[route] = p
	}
	return policies, errors.Join(problems...)
}

// loginPolicies returns the budgets of failed logins: the defaults, changed by the setting.
func (c *LimitConfig) loginPolicies() (ratelimit.LoginPolicies, error) {
	policies := ratelimit.DefaultLoginPolicies()
	budgets := loginBudgets(&policies)
	given, err := assignments("login-limits", c.LoginLimits)
	problems := []error{err}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		budget, known := budgets[name]
		if !known {
			problems = append(problems, fmt.Errorf("login-limits %q: no such budget: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(budgets)), ", ")))
			continue
		}
		p, err := ratelimit.ParsePolicy(given[name])
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("login-limits %s: %w", name, err))
		case p.Algorithm != ratelimit.TokenBucket:
			problems = append(problems, fmt.Errorf("login-limits %s: %v: must be a token-bucket, which takes successes back exactly", name, p))
		default:
			*budget = p
		}
	}
	return policies, errors.Join(problems...)
}

// loginBudgets names the budgets as the setting does.
func loginBudgets(p *ratelimit.LoginPolicies) map[string]*ratelimit.Policy {
	return map[string]*ratelimit.Policy{
		"address": &p.Address, "known": &p.Known, "known-each": &p.KnownEach,
		"new": &p.New, "new-each": &p.NewEach, "repeat": &p.Repeat,
	}
}

// assignments reads NAME=VALUE entries; a name that is given twice is a mistake.
func assignments(setting string, entries []string) (map[string]string, error) {
	values := make(map[string]string, len(entries))
	var problems []error
	for _, entry := range entries {
		name, value, found := strings.Cut(entry, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch _, twice := values[name]; {
		case !found || name == "" || value == "":
			problems = append(problems, fmt.Errorf("%s %q: want NAME=ALGORITHM LIMIT/WINDOW [burst BURST]", setting, entry))
		case twice:
			problems = append(problems, fmt.Errorf("%s %s: given twice", setting, name))
		default:
			values[name] = value
		}
	}
	return values, errors.Join(problems...)
}

func joinPolicies[T any](policies map[string]T) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		texts = append(texts, fmt.Sprintf("%s=%v", name, policies[name]))
	}
	return strings.Join(texts, ", ")
}

// limits are what bounds requests and failed logins.
type limits struct {
	routes map[string]httpapi.RateLimiter
	logins *ratelimit.LoginGuard

	policies map[string]ratelimit.Policy // of the routes
	budgets  ratelimit.LoginPolicies     // of the logins
	store    limitStore
}

// openLimits keeps the limits in Redis when there is one, so that all authd there share them, else in memory.
//
// When Redis does not answer, the limits of routes are counted by this process alone: they protect it from load, and
// verification must not depend on Redis. Failed logins are not: who guesses would get a new budget from each authd. So
// logins are refused; those that succeed would fail too, as their session could not be stored.
//
// Limits that are in use, before, go on as they stand where their policy is the same.
func (a *app) openLimits(c LimitConfig, before limits) (next limits, err error) {
	if next.policies, err = c.rateLimits(); err != nil {
		return next, err
	}
	if next.budgets, err = c.loginPolicies(); err != nil {
		return next, err
	}
	if next.store = before.store; next.store.route == nil {
		if next.store, err = a.limitStore(); err != nil {
			return next, err
		}
	}
	next.routes = make(map[string]httpapi.RateLimiter, len(next.policies))
	for name, policy := range next.policies {
		if next.routes[name] = before.routes[name]; next.routes[name] != nil && before.policies[name] == policy {
			continue
		}
		if next.routes[name], err = next.store.route(name, policy); err != nil {
			return next, fmt.Errorf("rate limit %s: %w", name, err)
		}
	}
	if next.logins = before.logins; next.logins != nil && before.budgets == next.budgets {
		return next, nil
	}
	next.logins, err = ratelimit.NewLoginGuard(ratelimit.LoginConfig{
		Open: next.store.login, Known: next.store.known, Policies: next.budgets, Shared: a.cfg.Redis != "",
	})
	return next, err
}

// limitStore makes limiters where the settings say.
type limitStore struct {
	route func(name string, p ratelimit.Policy) (httpapi.RateLimiter, error)
	login func(name string, p ratelimit.Policy) (ratelimit.Limiter, error)
	known ratelimit.KnownAddresses
}

func (a *app) limitStore() (limitStore, error) {
	if a.cfg.Redis != "" {
		return a.redisLimits()
	}
	known, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{})
	return limitStore{
		route: func(name string, p ratelimit.Policy) (httpapi.RateLimiter, error) { return memoryLimiter(name, p) },
		login: memoryLimiter,
		known: known,
	}, err
}

func memoryLimiter(_ string, p ratelimit.Policy) (ratelimit.Limiter, error) {
	return ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: p})
}

// limitTimeout bounds each call to Redis, as it does those about sessions.
const limitTimeout = time.Second

func (a *app) redisLimits() (limitStore, error) {
	client, err := a.connections.redis()
	if err != nil {
		return limitStore{}, err
	}
	known, err := redislimit.NewAddresses(redislimit.AddressesConfig{Client: client, Timeout: limitTimeout})
	return limitStore{
		route: func(name string, p ratelimit.Policy) (httpapi.RateLimiter, error) {
			shared, err := redislimit.New(redislimit.Config{Client: client, Name: name, Policy: p, Timeout: limitTimeout})
			if err != nil {
				return nil, err
			}
			local, err := memoryLimiter(name, p)
			if err != nil {
				return nil, err
			}
			return ratelimit.NewFallback(ratelimit.FallbackConfig{Name: name, Shared: shared, Local: local, Log: a.log})
		},
		login: func(name string, p ratelimit.Policy) (ratelimit.Limiter, error) {
			return redislimit.New(redislimit.Config{Client: client, Name: name, Policy: p, Timeout: limitTimeout})
		},
		known: known,
	}, err
}

func newUserForgiveCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forgive NAME",
		Short: "Forget a user's failed logins, so that the owner gets in again after an attack",
		Args:  cobra.ExactArgs(1),
	}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		if err := c.ForgiveUser(cmd.Context(), args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: failed logins forgotten\n", args[0])
		return err
	})
}

package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/keys"
)

// ConsoleConfig says who may use the console on the admin listener.
type ConsoleConfig struct {
	ConsoleRole string
}

func (c *ConsoleConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.ConsoleRole, "console-role", "authd-admin", "role of the users who may sign in to the console, /console on the admin listener; empty for no console")
}

// openConsole returns the console of the admin listener, or nil where there is none. signIn is how people sign in.
func (a *app) openConsole(signIn httpapi.PublicConfig) *httpapi.ConsoleConfig {
	if a.cfg.ConsoleRole == "" || signIn.Pages == nil {
		return nil
	}
	c := &httpapi.ConsoleConfig{SignIn: signIn, Role: a.cfg.ConsoleRole, Revoked: a.mirror}
	if a.reports != nil {
		c.Verifiers = a.census
	}
	return c
}

// census counts the verifiers, and those that have not reported to hold the present JWKS.
func (a *app) census(ctx context.Context) (keys.Census, error) {
	jwks, err := a.view.JWKS(ctx)
	if err != nil {
		return keys.Census{}, err
	}
	return a.reports.Census(ctx, keys.Question{
		Held: strings.Trim(jwks.ETag, `"`), After: time.Now().Add(-a.cfg.keyPolicy().ReportedFor()),
	})
}

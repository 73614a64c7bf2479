package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/sqlstore"
	"github.com/authd-project/authd/session"
)

// FactorsConfig says where second factors are kept, and who must have one.
type FactorsConfig struct {
	Factors       string
	RequireFactor []string
}

func (c *FactorsConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Factors, "factors", "", "where second factors are: a postgres:// URL, for several authd (default: the PostgreSQL of users if there is one, else the file DATA/factors.db)")
	fs.StringSliceVar(&c.RequireFactor, "require-factor", []string{"never"}, "who must have a second factor: never, always, or the roles of those who must")
}

func (c *Config) validateFactors() error {
	alone := !slices.Contains(c.RequireFactor, "never") && !slices.Contains(c.RequireFactor, "always") || len(c.RequireFactor) == 1
	problems := []error{
		require(len(c.RequireFactor) > 0 && alone && !slices.Contains(c.RequireFactor, ""),
			"require-factor %q: want never, always, or one role or more", c.RequireFactor),
	}
	if c.Factors != "" {
		if _, err := sqldb.PostgresAddress(c.Factors); err != nil {
			problems = append(problems, fmt.Errorf("factors: %w", err))
		}
	}
	return errors.Join(problems...)
}

// factorsURL is the PostgreSQL that second factors are kept in; "" for a file.
func (c *Config) factorsURL() string {
	if c.Factors != "" {
		return c.Factors
	}
	return c.usersURL()
}

// needsFactor tells who must have a second factor; nil: nobody must.
func (c *Config) needsFactor() func(identity.Account) bool {
	switch c.RequireFactor[0] {
	case "never":
		return nil
	case "always":
		return func(identity.Account) bool { return true }
	}
	return func(a identity.Account) bool {
		return slices.ContainsFunc(a.Roles, func(role string) bool { return slices.Contains(c.RequireFactor, role) })
	}
}

// openFactors opens the second factors. They are sealed under the key-encryption key, and not under the key ring: its keys
// rotate, and a secret that is kept for years would be lost with one of them.
func (a *app) openFactors(ctx context.Context, issuer string) error {
	store, err := a.openFactorStore(ctx)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, store.Close)
	a.storeChecks = append(a.storeChecks, httpapi.Check{Name: "factors", Probe: store.Ping})
	masters, err := a.masterKeys()
	if err != nil {
		return err
	}
	a.factors, err = mfa.Open(ctx, mfa.Config{Store: store, Masters: masters, Seals: a.view, Issuer: issuer, Logger: a.log})
	return err
}

func (a *app) openFactorStore(ctx context.Context) (*sqlstore.Store, error) {
	url := a.cfg.factorsURL()
	c := sqlstore.Config{Release: buildVersion()}
	if url == "" {
		return sqlstore.OpenSQLite(ctx, filepath.Join(a.cfg.Data, "factors.db"), c)
	}
	if name := a.cfg.UsersPasswordFile; name != "" && url == a.cfg.usersURL() {
		secret, err := a.connections.openSecret("users-password-file", name)
		if err != nil {
			return nil, err
		}
		c.Password = secret.reveal
	}
	store, err := sqlstore.OpenPostgres(ctx, url, c)
	if err != nil {
		return nil, fmt.Errorf("factors: %w", err)
	}
	return store, nil
}

// masterKeys are the key-encryption keys, as factors need them. The file is there: the key ring has been opened with it.
func (a *app) masterKeys() ([]mfa.MasterKey, error) {
	text, err := readOrMakeSecret(a.cfg.KEKFile, false)
	if err != nil {
		return nil, fmt.Errorf("kek-file: %w", err)
	}
	keks, err := keys.ParseKEKs(text)
	if err != nil {
		return nil, fmt.Errorf("kek-file %s: %w", a.cfg.KEKFile, err)
	}
	return masterKeys(keks), nil
}

func masterKeys(keks []keys.KEK) []mfa.MasterKey {
	masters := make([]mfa.MasterKey, len(keks))
	for i, k := range keks {
		raw, _ := base64.StdEncoding.DecodeString(k.Reveal()) // its own encoding
		masters[i] = mfa.NewMasterKey(k.ID(), [32]byte(raw))
	}
	return masters
}

// factorConfig is what the public listener needs of second factors.
func (a *app) factorConfig(sessions *session.Service) *httpapi.FactorConfig {
	return &httpapi.FactorConfig{Factors: a.factors, Sessions: sessions, Seals: a.view, Required: a.cfg.needsFactor()}
}

func newUserFactorsCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{Use: "factors NAME", Short: "List a user's second factors", Args: cobra.ExactArgs(1)}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		list, err := c.Factors(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKIND\tNAME\tCREATED\tLAST USED")
		for _, f := range list.Factors {
			used := "never"
			if f.UsedAt != nil {
				used = f.UsedAt.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.ID, f.Kind, f.Name, f.CreatedAt.Format(time.DateOnly), used)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d recovery codes are left\n", list.RecoveryCodes)
		return err
	})
}

func newUserResetFactorsCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use: "reset-factors NAME", Short: "Remove all second factors of a user and end all sessions", Args: cobra.ExactArgs(1),
	}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		if err := c.ResetFactors(cmd.Context(), args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: no second factors any more, sessions ended\n", args[0])
		return err
	})
}

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/internal/loadtest"
)

// benchAccounts are who logs in: those of a file, the one of --demo, or some that are made through the admin API and
// removed again.
type benchAccounts struct {
	demo             bool
	file             string
	users            int
	clientID, secret string

	data, adminListen, tokenFile string

	admin *adminclient.Client // nil where no accounts were made
	made  []string
}

// bind registers what is also read from the environment, where the other commands have it from.
func (a *benchAccounts) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&a.demo, "demo", false, "log in as the user of \"authd serve --demo\", and introspect as its client")
	fs.StringVar(&a.file, "accounts", "", "file of accounts that may log in, NAME:PASSWORD a line")
	fs.IntVar(&a.users, "users", 20, "accounts to make through the admin API, and to remove again, where there are no others")
	fs.StringVar(&a.clientID, "client-id", "", "OAuth client that may introspect")
	fs.StringVar(&a.secret, "client-secret-file", "", "file of its secret")
	fs.StringVar(&a.data, "data", defaultData(), "data folder of the running authd, with its admin token")
	fs.StringVar(&a.adminListen, "admin-listen", "127.0.0.1:8081", "address of the admin API")
	fs.StringVar(&a.tokenFile, "admin-token-file", "", "file of the admin API's bearer token (default: DATA/admin-token)")
}

func (a *benchAccounts) validate() error {
	return errors.Join(
		require(!a.demo || a.file == "", "demo and accounts exclude each other"),
		require(a.users >= 1 && a.users <= 10_000, "users %d: must be from 1 to 10000", a.users),
		require((a.clientID == "") == (a.secret == ""), "client-id and client-secret-file go together"),
		address("admin-listen", a.adminListen),
	)
}

// open gives the target its accounts, the client that introspects, and where its metrics are.
func (a *benchAccounts) open(ctx context.Context, c *loadtest.Config) (err error) {
	if c.ClientID = a.clientID; a.secret != "" {
		if c.ClientSecret, err = readOrMakeSecret(a.secret, false); err != nil {
			return fmt.Errorf("client-secret-file: %w", err)
		}
	}
	if len(c.Metrics) == 0 && a.reachable(ctx) {
		c.Metrics = []string{"http://" + a.adminListen + "/metrics"}
	}
	switch {
	case a.demo:
		c.Accounts = []loadtest.Account{{Name: demoUser, Password: demoPassword}}
		if a.clientID == "" {
			c.ClientID, c.ClientSecret = demoClient, demoSecret
		}
	case a.file != "":
		c.Accounts, err = readAccounts(a.file)
	default:
		c.Accounts, err = a.make(ctx)
	}
	return err
}

func (a *benchAccounts) reachable(ctx context.Context) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", a.adminListen)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func readAccounts(name string) (accounts []loadtest.Account, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, password, ok := strings.Cut(line, ":")
		if !ok || name == "" || password == "" {
			return nil, fmt.Errorf("accounts: line %d: want NAME:PASSWORD", n) // the line may hold a password
		}
		accounts = append(accounts, loadtest.Account{Name: name, Password: password})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("accounts: %s names none", name)
	}
	return accounts, nil
}

// make makes accounts with names and passwords that nobody else has.
func (a *benchAccounts) make(ctx context.Context) (accounts []loadtest.Account, err error) {
	file := orElse(a.tokenFile, filepath.Join(a.data, "admin-token"))
	token, err := readOrMakeSecret(file, false)
	if err != nil {
		return nil, fmt.Errorf("accounts are made through the admin API (or name some by --accounts or --demo); its token: %w", err)
	}
	if a.admin, err = adminclient.New(adminclient.Config{URL: "http://" + a.adminListen, Token: token}); err != nil {
		return nil, err
	}
	run := strings.ToLower(rand.Text()[:8])
	for i := range a.users {
		account := loadtest.Account{Name: fmt.Sprintf("bench-%s-%d", run, i), Password: rand.Text()}
		if _, err := a.admin.AddUser(ctx, adminapi.NewUser{Username: account.Name, Password: account.Password}); err != nil {
			return nil, errors.Join(fmt.Errorf("making an account: %w", err), a.close(context.WithoutCancel(ctx)))
		}
		a.made = append(a.made, account.Name)
		accounts = append(accounts, account)
	}
	return accounts, nil
}

// close removes the accounts that were made, and with them whatever sessions they still have.
func (a *benchAccounts) close(ctx context.Context) error {
	var errs []error
	for _, name := range a.made {
		if err := a.admin.RemoveUser(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("removing the account %s: %w", name, err))
		}
	}
	a.made = nil
	return errors.Join(errs...)
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/session"
)

// PagesConfig says what people see in a browser.
type PagesConfig struct {
	Pages    bool
	SiteName string
	ReturnTo []string
}

func (c *PagesConfig) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&c.Pages, "pages", true, "serve /login, /account and /logout to browsers")
	fs.StringVar(&c.SiteName, "site-name", "", "what people sign in to, as the pages call it (default: the issuer's host)")
	fs.StringSliceVar(&c.ReturnTo, "return-to", nil, "paths of your applications behind the issuer's address, such as /shop/, below which a login may lead back")
}

func (c *PagesConfig) validate() error {
	problems := []error{require(c.Pages || len(c.ReturnTo) == 0, "return-to: needs pages")}
	for _, below := range c.ReturnTo {
		if err := httpapi.CheckReturnTo(below); err != nil {
			problems = append(problems, fmt.Errorf("return-to %q: %w", below, err))
		}
	}
	return errors.Join(problems...)
}

// open returns the pages, or nil where there are none.
func (c *PagesConfig) open(issuer string) (*web.Pages, error) {
	if !c.Pages {
		return nil, nil
	}
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	return web.New(web.Config{Site: cmp.Or(c.SiteName, u.Host)})
}

// passwords lets people change their passwords, if there are any that authd keeps.
func (a *app) passwords(sessions *session.Service) *httpapi.PasswordConfig {
	if a.notes == nil {
		return nil
	}
	return &httpapi.PasswordConfig{Users: a.users, Ends: a.ends, Sessions: sessions}
}

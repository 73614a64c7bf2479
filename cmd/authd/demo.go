package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/authd-project/authd/identity"
)

// What --demo makes. These are published, so a data folder that has them is never served beyond loopback.
const (
	demoUser     = "demo"
	demoPassword = "correct horse battery staple"
	demoRole     = "demo"
	demoClient   = "demo-service"
	demoSecret   = "demo-service-secret"
)

// prepareDemo makes the demo user when asked for, and otherwise makes sure that nobody from outside can log in as it.
func (a *app) prepareDemo(ctx context.Context) error {
	if a.cfg.Demo {
		_, err := a.users.Add(ctx, demoUser, demoPassword, demoRole)
		if err != nil && !errors.Is(err, identity.ErrExists) {
			return fmt.Errorf("making the demo user: %w", err)
		}
		return nil
	}
	if loopback(a.cfg.Listen) {
		return nil
	}
	switch u, err := a.users.Get(ctx, demoUser); {
	case errors.Is(err, identity.ErrNotFound):
		return nil
	case err != nil:
		return err
	case len(u.Roles) == 1 && u.Roles[0] == demoRole && !u.Disabled:
		return fmt.Errorf("listen %q: the user %q of --demo has a published password; run: authd user remove %s",
			a.cfg.Listen, demoUser, demoUser)
	}
	return nil
}

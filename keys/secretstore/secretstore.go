package secretstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/authd-project/authd/keys"
)

// Config configures a store.
type Config struct {
	// Client is required. It stays the caller's. A limit on a whole request (rest.Config.Timeout) would end watches
	// too; Timeout below does not.
	Client corev1client.SecretsGetter
	// Namespace and Name say which Secret; the namespace is required, the name's default is "authd-keys".
	Namespace, Name string
	Codec           *keys.Codec // required; it must seal
	// ViewAge is the policy's: a ring that this process saw longer ago is not put back into a Secret that has lost it;
	// default 10 min.
	ViewAge time.Duration
	// Poll is how often a watch reads the Secret besides, as nothing else shows that a connection is dead; default 10 s.
	Poll time.Duration
	// Timeout bounds one read or one write, whatever the client retries; default 3 s.
	Timeout time.Duration
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default: none
}

// New returns a store. It does not talk to the API server yet; it fails only for an invalid configuration.
func New(c Config) (keys.Store, error) {
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("client: required"))
	}
	if c.Namespace == "" {
		errs = append(errs, errors.New("namespace: required"))
	}
	if c.Codec == nil || !c.Codec.Sealed() {
		errs = append(errs, errors.New("codec: must seal, as a Secret is stored in the clear unless the cluster encrypts it"))
	}
	if c.ViewAge < 0 || c.Poll < 0 || c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("view age %v, poll %v, timeout %v: must not be negative", c.ViewAge, c.Poll, c.Timeout))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	cell := &cell{
		secrets: c.Client.Secrets(c.Namespace), name: cmp.Or(c.Name, "authd-keys"),
		viewAge: cmp.Or(c.ViewAge, 10*time.Minute),
		poll:    cmp.Or(c.Poll, 10*time.Second),
		timeout: cmp.Or(c.Timeout, 3*time.Second),
		now:     c.Now, log: c.Logger,
	}
	if cell.now == nil {
		cell.now = time.Now
	}
	if cell.log == nil {
		cell.log = slog.New(slog.DiscardHandler)
	}
	cell.log = cell.log.With("secret", c.Namespace+"/"+cell.name)
	return keys.NewStore(cell, c.Codec), nil
}

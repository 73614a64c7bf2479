package etcdstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/keys"
)

// Config configures a store.
type Config struct {
	Client *clientv3.Client // required; stays the caller's to close
	Key    string           // where the ring is; default "authd/keys"
	Codec  *keys.Codec      // required; it must seal
	// ViewAge is the policy's: a ring that this process saw longer ago is not put back into an etcd that has lost it;
	// default 10 min.
	ViewAge time.Duration
	// Timeout bounds one round trip; default 2 s, in which a cluster can usually replace its leader.
	Timeout time.Duration
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default: none
}

// New returns a store. It does not talk to etcd yet; it fails only for an invalid configuration.
func New(c Config) (keys.Store, error) {
	cell, err := newCell(c)
	if c.Codec == nil || !c.Codec.Sealed() {
		err = errors.Join(err, errors.New("codec: must seal, as a server outside the process must not hold a key in the clear"))
	}
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	return keys.NewStore(cell, c.Codec), nil
}

func newCell(c Config) (*cell, error) {
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("client: required"))
	}
	if c.ViewAge < 0 || c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("view age %v, timeout %v: must not be negative", c.ViewAge, c.Timeout))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	cell := &cell{
		client:  c.Client,
		key:     cmp.Or(c.Key, "authd/keys"),
		viewAge: cmp.Or(c.ViewAge, 10*time.Minute),
		timeout: cmp.Or(c.Timeout, 2*time.Second),
		now:     c.Now,
		log:     c.Logger,
	}
	if cell.now == nil {
		cell.now = time.Now
	}
	if cell.log == nil {
		cell.log = slog.New(slog.DiscardHandler)
	}
	return cell, nil
}

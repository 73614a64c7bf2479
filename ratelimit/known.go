package ratelimit

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of what [KnownAddresses] remember. The addresses per account keep one user from filling the store.
const (
	KnownFor        = 90 * 24 * time.Hour
	KnownPerAccount = 16
)

// KnownAddresses remembers from where accounts have logged in: the latest KnownPerAccount addresses of each, for
// KnownFor. Accounts and addresses are opaque keys. Methods may be called concurrently and honour ctx; errors caused by
// the store wrap [ErrUnavailable].
type KnownAddresses interface {
	Remember(ctx context.Context, account, address string) error
	// Known tells how long ago the account has last logged in from the address; false when it has not within KnownFor.
	Known(ctx context.Context, account, address string) (ago time.Duration, known bool, err error)
}

// MemoryAddressesConfig configures [MemoryAddresses].
type MemoryAddressesConfig struct {
	MaxAccounts int              // accounts remembered; the one unused for longest gives way; default 65,536
	Now         func() time.Time // default time.Now
}

// MemoryAddresses is [KnownAddresses] for one process. It forgets everything when the process ends; after that an
// owner's first login counts as one from a new address.
type MemoryAddresses struct {
	max int
	now func() time.Time

	mu       sync.Mutex
	accounts map[string]*list.Element // of recent
	recent   *list.List               // of *knownAccount, the most recently remembered first
}

type knownAccount struct {
	account   string
	addresses []knownAddress // the most recently remembered first
}

type knownAddress struct {
	address string
	at      time.Time
}

// NewMemoryAddresses returns an empty memory. It fails only for an invalid configuration.
func NewMemoryAddresses(c MemoryAddressesConfig) (*MemoryAddresses, error) {
	if c.MaxAccounts < 0 {
		return nil, fmt.Errorf("known accounts %d: must not be negative", c.MaxAccounts)
	}
	if c.MaxAccounts == 0 {
		c.MaxAccounts = defaultMaxKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &MemoryAddresses{
		max: c.MaxAccounts, now: c.Now, accounts: make(map[string]*list.Element), recent: list.New(),
	}, nil
}

// Remember implements [KnownAddresses]. It fails only when ctx has ended.
func (m *MemoryAddresses) Remember(ctx context.Context, account, address string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.touch(account)
	k.addresses = slices.DeleteFunc(k.addresses, func(a knownAddress) bool { return a.address == address })
	k.addresses = slices.Insert(k.addresses, 0, knownAddress{address, m.now()})
	k.addresses = k.addresses[:min(len(k.addresses), KnownPerAccount)]
	return nil
}

// Known implements [KnownAddresses]. It fails only when ctx has ended.
func (m *MemoryAddresses) Known(ctx context.Context, account, address string) (time.Duration, bool, error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, found := m.accounts[account]
	if !found {
		return 0, false, nil
	}
	for _, a := range e.Value.(*knownAccount).addresses {
		if ago := m.now().Sub(a.at); a.address == address && ago < KnownFor {
			return ago, true, nil
		}
	}
	return 0, false, nil
}

// touch returns the account's record, making it the most recent.
func (m *MemoryAddresses) touch(account string) *knownAccount {
	if e, found := m.accounts[account]; found {
		m.recent.MoveToFront(e)
		return e.Value.(*knownAccount)
	}
	if m.recent.Len() >= m.max {
		oldest := m.recent.Remove(m.recent.Back()).(*knownAccount)
		delete(m.accounts, oldest.account)
	}
	k := &knownAccount{account: account}
	m.accounts[account] = m.recent.PushFront(k)
	return k
}

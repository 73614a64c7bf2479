package htpasswd

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/authd-project/authd/identity"
)

// entry is a line of the file.
type entry struct {
	account identity.Account
	hash    string // empty: no password
}

// users are what a file says. They do not change.
type users struct {
	byName    map[string]entry
	bySubject map[string]string
	names     []string // sorted
	lenders   []string // subjects of those with a hash, sorted
	written   time.Time
}

// maxProblems bounds an error about a file that is something else altogether.
const maxProblems = 20

// parse reads a file's text. The error names the lines that cannot be used.
func parse(text []byte, written time.Time) (*users, error) {
	u := &users{byName: map[string]entry{}, bySubject: map[string]string{}, written: written}
	var problems []error
	number := 0
	for line := range bytes.Lines(text) {
		number++
		e, ok, err := parseLine(strings.TrimRight(string(line), "\r\n"))
		if _, twice := u.byName[e.account.Username]; twice && ok {
			err = errors.New("the name stands in an earlier line already, perhaps in other spelling")
		}
		if err != nil && len(problems) < maxProblems {
			problems = append(problems, fmt.Errorf("line %d: %w", number, err))
		} else if ok {
			u.byName[e.account.Username] = e
			u.bySubject[e.account.Subject] = e.account.Username
			if e.hash != "" {
				u.lenders = append(u.lenders, e.account.Subject)
			}
		}
	}
	slices.Sort(u.lenders)
	u.names = slices.Sorted(maps.Keys(u.byName))
	return u, errors.Join(problems...)
}

// parseLine returns false for a line without an account.
func parseLine(line string) (e entry, ok bool, err error) {
	if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
		return entry{}, false, nil
	}
	typed, hash, found := strings.Cut(line, ":")
	if !found {
		return entry{}, false, errors.New("want NAME:HASH")
	}
	name, err := identity.NormalizeUsername(typed)
	if err != nil {
		return entry{}, false, err
	}
	hash, _, _ = strings.Cut(hash, ":") // a comment may follow
	hash, locked := strings.CutPrefix(hash, "!")
	if hash != "" {
		if err := identity.CheckHash(hash); err != nil {
			return entry{}, false, fmt.Errorf("%w; htpasswd -B makes hashes that can be used", err)
		}
	}
	account := identity.Account{Subject: subjectOf(name), Username: name, Disabled: locked}
	return entry{account: account, hash: hash}, true, nil
}

// lender returns the hash whose costs a name without one borrows: always the same account's, drawn by the hash of the
// name, so that unknown names are as costly as known ones, in like shares. See sqlstore, which does the same.
func (u *users) lender(name, typed string) string {
	if len(u.lenders) == 0 {
		return ""
	}
	if name == "" {
		name = typed
	}
	drawn := sha256.Sum256([]byte(name))
	i, _ := slices.BinarySearch(u.lenders, base64.RawURLEncoding.EncodeToString(drawn[:16]))
	return u.byName[u.bySubject[u.lenders[i%len(u.lenders)]]].hash
}

func (u *users) user(e entry) identity.User {
	return identity.User{Account: e.account, HasPassword: e.hash != "", CreatedAt: u.written, UpdatedAt: u.written}
}

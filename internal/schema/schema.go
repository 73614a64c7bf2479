// Package schema decides whether a program may use what another release of it has stored.
//
// Each place where data is kept carries a [Stamp]. A release that stores things in a new form raises the version by one, and
// says that a program must know the version before to use them: so the release before goes on working, beside the new one
// and after a return to it, and any older one refuses instead of misreading. docs/upgrades.md has the whole rule.
package schema

import (
	"errors"
	"fmt"
)

// ErrNewer means that the data needs a newer program. Nothing of it was changed.
var ErrNewer = errors.New("stored by a newer release")

// Stamp is what a place says of the data in it. The zero value is that of a place without a stamp.
type Stamp struct {
	// Version is that of the program that used the place last: all it holds is at least in that form.
	Version int `json:"version"`
	// Needs is the version that a program must know to use the place.
	Needs int `json:"needs"`
	// Release is the program that brought the newest form, for people.
	Release string `json:"release"`
}

// Of is the stamp of a program's own data: it leaves a place that the release before can use.
func Of(version int, release string) Stamp {
	return Stamp{Version: version, Needs: max(version-1, 0), Release: release}
}

// Enter returns the stamp of a place that is stamped s once the program with the stamp own uses it, or an error that says
// what to start instead. After a return to an older program the version is that one's again, so that the steps to the
// newer form are made once more for what it has written; what the place needs stays, for the newer form is still in it.
func (s Stamp) Enter(own Stamp) (Stamp, error) {
	if err := s.Admit(own.Version, own.Release); err != nil {
		return Stamp{}, err
	}
	if s.Version > own.Version {
		own.Release = s.Release
	}
	own.Needs = max(own.Needs, s.Needs)
	return own, nil
}

// Admit returns an error unless a program that knows a version may use the place.
func (s Stamp) Admit(known int, release string) error {
	if s.Needs <= known {
		return nil
	}
	by := "a newer authd"
	if s.Release != "" {
		by = "authd " + s.Release
	}
	this := "this authd"
	if release != "" {
		this = "this authd " + release
	}
	return fmt.Errorf("%w: %s has written it in version %d, and only an authd that knows version %d may use it; %s knows %d: "+
		"start %s, or the release before it; nothing was changed", ErrNewer, by, s.Version, s.Needs, this, known, by)
}

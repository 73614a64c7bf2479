package httpapi

import (
	"time"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
)

// overviewData is what templates/console_overview.html shows.
type overviewData struct {
	Leader    election.Sight
	Mirror    revocation.Status
	Staleness time.Duration // of the mirror, in milliseconds
	Live      []liveRevocations
	Verifiers *keys.Census // nil where nobody is asked
	Uncounted bool         // they are asked, and could not be counted
	Named     bool         // the names of verifiers are some of them only
}

// liveRevocations are the entries of one kind that have not expired.
type liveRevocations struct {
	Kind        string
	Count       int
	First, Last time.Time // when the first and the last of them expires
}

func (c *console) overview(x *exchange, o operator) error {
	data := overviewData{Leader: c.admin.cfg.Leadership.Sight(), Mirror: c.admin.cfg.Mirror.Status(), Live: c.live()}
	if !data.Mirror.AsOf.IsZero() {
		data.Staleness = c.now().Sub(data.Mirror.AsOf).Round(time.Millisecond)
	}
	if c.cfg.Verifiers != nil {
		census, err := c.cfg.Verifiers(x.ctx())
		if err != nil {
			c.log.WarnContext(x.ctx(), "the verifiers cannot be counted", "request_id", x.requestID, "err", err)
			data.Uncounted = true
		} else {
			data.Verifiers, data.Named = &census, len(census.From) < census.Missing
		}
	}
	return c.show(x, o, web.Page{Name: "console_overview", Title: "Overview", Data: data})
}

// live counts the revocations in force, by kind.
func (c *console) live() []liveRevocations {
	counted := make([]liveRevocations, revocation.Everything+1)
	for e := range c.cfg.Revoked.All() {
		l, expires := &counted[e.Kind], time.Unix(e.Expires, 0)
		if l.Count == 0 || expires.Before(l.First) {
			l.First = expires
		}
		if expires.After(l.Last) {
			l.Last = expires
		}
		l.Count++
	}
	var live []liveRevocations
	for kind := revocation.Token; kind <= revocation.Everything; kind++ {
		l := counted[kind]
		l.Kind = kind.String()
		live = append(live, l)
	}
	return live
}

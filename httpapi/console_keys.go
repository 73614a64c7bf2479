package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/keys"
)

// keysData is what templates/console_keys.html shows.
type keysData struct {
	Done         string
	AsOf         time.Time // of this process's view
	Keys         []keyRow
	NextRotation time.Time // when the active key gives way, by the timetable; zero when that is not known
	Line         timeLine
}

// keyRow is one key of the ring.
type keyRow struct {
	ID, Algorithm, State    string
	CreatedAt, Since, Until time.Time // Until is when the state is next due to change
	Revocable               bool
}

func (c *console) keysPage(x *exchange, o operator) error {
	ring, asOf, err := c.admin.cfg.Ring.Ring()
	if err != nil {
		return err
	}
	data := keysData{Done: consoleDone()[x.QueryParam("done")], AsOf: asOf}
	for _, k := range ring.Keys {
		standing, err := c.admin.cfg.Ring.Standing(k.ID)
		if errors.Is(err, keys.ErrNotFound) {
			continue // the ring has changed meanwhile
		}
		if err != nil {
			return err
		}
		data.Keys = append(data.Keys, keyRow{
			ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), CreatedAt: k.CreatedAt, Since: k.Since, Until: standing.Until,
			Revocable: k.State != keys.Revoked,
		})
		if k.State == keys.Active {
			data.NextRotation = standing.Until
		}
	}
	data.Line = newTimeLine(c.now(), data.Keys)
	return c.show(x, o, web.Page{Name: "console_keys", Title: "Keys", Data: data})
}

func (c *console) rotateForm(x *exchange, _ operator) error {
	kid, err := c.admin.cfg.Keys.Rotate(x.ctx())
	var early *keys.TooYoungError
	if errors.As(err, &early) {
		return badRequest("The next key has not been published for long enough: " + early.Error() + ".")
	}
	if err != nil {
		return c.leaderOnly(err)
	}
	x.note("kid", kid)
	return redirect(x, pathKeys, url.Values{"done": {"rotated"}})
}

// timeLine is a drawing of the keys' lives, in units of an SVG that is timeLineWidth wide.
type timeLine struct {
	Width, Height int
	Now           int
	Rows          []timeRow
	Ticks         []timeTick
}

// timeRow is the life of one key.
type timeRow struct {
	ID, State string
	Y, LabelY int
	Bars      []timeBar
}

// timeBar is a stretch of a life in one state.
type timeBar struct{ X, Width, Y, State any }

// timeTick is a date below the drawing.
type timeTick struct {
	X      int
	Label  string
	Anchor string // "start", "middle" or "end"
}

const (
	timeLineWidth  = 960
	timeLineRow    = 44
	timeLineBottom = 32
)

// newTimeLine draws from the first key's creation to the last change that is due.
func newTimeLine(now time.Time, rows []keyRow) timeLine {
	from, to := now, now
	for _, k := range rows {
		for _, t := range []time.Time{k.CreatedAt, k.Since, k.Until} {
			if t.IsZero() {
				continue
			}
			if t.Before(from) {
				from = t
			}
			if t.After(to) {
				to = t
			}
		}
	}
	span := max(to.Sub(from), time.Second)
	at := func(t time.Time) int { return int(float64(timeLineWidth) * float64(t.Sub(from)) / float64(span)) }
	line := timeLine{Width: timeLineWidth, Height: len(rows)*timeLineRow + timeLineBottom, Now: at(now)}
	for i, k := range rows {
		line.Rows = append(line.Rows, timeRow{ID: k.ID, State: k.State, LabelY: i*timeLineRow + 14, Bars: bars(k, i*timeLineRow+20, at)})
	}
	layout := "2 Jan 15:04"
	if span > 14*24*time.Hour {
		layout = "2 Jan 2006"
	}
	for i, anchor := range []string{"start", "middle", "middle", "middle", "end"} {
		t := from.Add(span * time.Duration(i) / 4)
		line.Ticks = append(line.Ticks, timeTick{at(t), t.UTC().Format(layout), anchor})
	}
	return line
}

// bars are the stretches of a key's life: until it entered its state, and from then on until that is due to change. What it
// was before is known of the active key only: prepared.
func bars(k keyRow, y int, at func(time.Time) int) []timeBar {
	since := k.Since
	if since.IsZero() {
		since = k.CreatedAt // not confirmed yet
	}
	var found []timeBar
	add := func(from, to time.Time, state string) {
		if to.After(from) {
			found = append(found, timeBar{at(from), max(at(to)-at(from), 2), y, state})
		}
	}
	before := "past"
	if k.State == string(keys.Active) {
		before = string(keys.Prepared)
	}
	add(k.CreatedAt, since, before)
	add(since, k.Until, k.State)
	if len(found) == 0 {
		found = append(found, timeBar{at(since), 2, y, k.State})
	}
	return found
}

// Length says a duration as people do.
func (k keyRow) Length() string { return fmt.Sprint(k.Until.Sub(k.Since).Round(time.Second)) }

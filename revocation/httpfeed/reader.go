package httpfeed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/authd-project/authd/revocation"
)

// event is one server-sent event of the feed.
type event struct {
	position revocation.Position // zero when the event has no id
	entries  []revocation.Entry  // valid until the next event
	now      *mark
	asOf     *int64 // milliseconds of the server's clock
}

// mark is the server's clock when it handled the request.
type mark struct {
	millis int64
	nonce  string
}

// reader reads events, in bounded memory.
type reader struct {
	lines *bufio.Reader
	line  int // number of the line read last, from 1
	event event
}

func newReader(r io.Reader) *reader { return &reader{lines: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next event. An error in a line names it.
func (r *reader) next() (event, error) {
	r.event = event{entries: r.event.entries[:0]}
	for {
		line, err := r.readLine()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			return r.event, nil
		}
		if err := r.event.parseField(line); err != nil {
			return event{}, fmt.Errorf("line %d: %w", r.line, err)
		}
	}
}

func (r *reader) readLine() ([]byte, error) {
	r.line++
	line, err := r.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > maxLine:
		return nil, fmt.Errorf("line %d: longer than %d bytes", r.line, maxLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, io.ErrUnexpectedEOF // half a line is never used
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// parseField reads one field of server-sent events. Those that the feed does not use are ignored, as are comments.
func (e *event) parseField(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, space)
	switch string(name) {
	case "id":
		p, err := revocation.ParsePosition(string(value))
		if err != nil {
			return fmt.Errorf("id: %w", err)
		}
		e.position = p
	case "data":
		return e.parseData(value)
	}
	return nil
}

func (e *event) parseData(data []byte) error {
	word, rest, _ := bytes.Cut(data, space)
	switch string(word) {
	case wordNow:
		millis, nonce, _ := bytes.Cut(rest, space)
		n, err := parseMillis(millis)
		if err != nil {
			return fmt.Errorf("now: %w", err)
		}
		e.now = &mark{millis: n, nonce: string(nonce)}
	case wordAsOf:
		n, err := parseMillis(rest)
		if err != nil {
			return fmt.Errorf("as_of: %w", err)
		}
		e.asOf = &n
	default:
		if len(e.entries) == maxEntries {
			return fmt.Errorf("more than %d entries in one event", maxEntries)
		}
		entry, err := parseEntry(data)
		if err != nil {
			return err
		}
		e.entries = append(e.entries, entry)
	}
	return nil
}

// parseMillis reads milliseconds, bounded so that differences fit a time.Duration.
func parseMillis(b []byte) (int64, error) {
	const limit = math.MaxInt64 / int64(time.Millisecond) / 4
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n > limit || n < -limit {
		return 0, errors.New("want milliseconds")
	}
	return n, nil
}

// proof turns moments of the server's clock into moments of the client's.
type proof struct {
	sent  time.Time // the client's clock before the request was sent
	nonce string
	now   *mark // the server's clock when it handled the request; nil before the first event
}

// batch is what an event says to a follower. received is the client's clock.
func (p *proof) batch(e event, received time.Time) (revocation.Batch, error) {
	b := revocation.Batch{Entries: e.entries, Position: e.position}
	switch {
	case p.now == nil && e.now == nil:
		return b, errors.New("the stream does not begin with the server's clock")
	case p.now != nil && e.now != nil:
		return b, errors.New("the server's clock comes twice")
	case e.now != nil && e.now.nonce != p.nonce:
		return b, errors.New("the answer belongs to another request")
	case e.now != nil:
		p.now = e.now
	}
	if e.asOf == nil {
		return b, nil
	}
	since := time.Duration(*e.asOf-p.now.millis) * time.Millisecond
	since -= since.Abs() / driftParts // by whichever clock is the slower
	b.AsOf = p.sent.Add(since)
	// Where this machine's clocks have parted, or a proof comes before its time, a new request sets the mark again. To
	// call such a proof "just now" would be to trust it for when it arrived.
	switch {
	case clocksParted(p.sent, received):
		return b, errors.New("this machine's clock was set, or it was suspended")
	case b.AsOf.After(received):
		return b, errors.New("a proof lies in the future")
	}
	return b, nil
}

// clocksParted tells whether the wall clock and the monotonic one disagree about how long ago t was. A proof is
// reckoned from the request by both, and is too old, or wrong, by the one that jumped.
func clocksParted(t, now time.Time) bool {
	wall := time.Duration(now.UnixNano() - t.UnixNano())
	return (wall - now.Sub(t)).Abs() > time.Second
}

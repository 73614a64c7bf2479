package ssf

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The methods of delivery.
const (
	Push = "urn:ietf:rfc:8935"
	Poll = "urn:ietf:rfc:8936"
)

// Status says whether events are told.
type Status string

// The statuses of a stream.
const (
	Enabled  Status = "enabled"
	Paused   Status = "paused"   // events are kept for later
	Disabled Status = "disabled" // events are left out
)

// ErrInvalid refuses a request about a stream; its text is for the receiver.
var ErrInvalid = errors.New("invalid stream")

// ErrNotFound means that the receiver has no such stream.
var ErrNotFound = errors.New("no such stream")

// ErrTooMany means that a receiver has as many streams as it may.
var ErrTooMany = errors.New("too many streams")

// ErrUnavailable means that the store did not confirm; the outcome is unknown.
var ErrUnavailable = errors.New("stream store unavailable")

// Bounds of what a receiver can make authd keep.
const (
	maxStreams     = 10 // of a receiver
	maxRemoved     = 10000
	maxDescription = 256
	maxHeader      = 4096
	maxState       = 1024
	maxText        = 512
	maxQueue       = 10000 // events of a stream
)

// Delivery says how events reach the receiver.
type Delivery struct {
	Method string `json:"method"`
	URL    string `json:"endpoint_url,omitempty"` // Push: the receiver's; Poll: where to ask
	// Authorization is the header that each push carries. It is the receiver's secret, and never shown again.
	Authorization string `json:"authorization_header,omitempty"`
}

// Stream is what one receiver wants to hear.
type Stream struct {
	ID          string
	Client      string // the receiver: who may manage the stream, and the "aud" of its events
	Requested   []string
	Delivery    Delivery
	Description string
	Status      Status
	Reason      string   // of the status
	Removed     []string // subjects of whom the receiver wants to hear nothing
}

// Delivered returns the types of events that the stream has.
func (s Stream) Delivered() []string {
	var kinds []string
	for _, kind := range Supported() {
		if slices.Contains(s.Requested, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// wants tells whether an event belongs into the stream.
func (s Stream) wants(e event) bool {
	return s.Status != Disabled && slices.Contains(s.Requested, e.kind) && (e.user == "" || !slices.Contains(s.Removed, e.user))
}

// validate refuses what cannot be done. hosts are where events may be pushed.
func (s Stream) validate(hosts []string) error {
	switch {
	case len(s.Description) > maxDescription:
		return fmt.Errorf("%w: description: longer than %d bytes", ErrInvalid, maxDescription)
	case len(s.Requested) > 100:
		return fmt.Errorf("%w: events_requested: too many", ErrInvalid)
	case s.Delivery.Method == Poll:
		return nil
	case s.Delivery.Method != Push:
		return fmt.Errorf("%w: delivery.method: want %s or %s", ErrInvalid, Push, Poll)
	}
	return s.Delivery.validatePush(hosts)
}

func (d Delivery) validatePush(hosts []string) error {
	u, err := url.Parse(d.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%w: delivery.endpoint_url: want an absolute URL", ErrInvalid)
	case !slices.Contains(hosts, u.Host):
		return fmt.Errorf("%w: delivery.endpoint_url: events are not pushed to this host; its name must be configured", ErrInvalid)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return fmt.Errorf("%w: delivery.endpoint_url: must be https", ErrInvalid)
	case len(d.Authorization) > maxHeader || strings.ContainsFunc(d.Authorization, func(r rune) bool { return r < 0x20 || r > 0x7E }):
		return fmt.Errorf("%w: delivery.authorization_header: not a header's value", ErrInvalid)
	}
	return nil
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.") && !strings.ContainsFunc(host, func(r rune) bool {
		return r != '.' && (r < '0' || r > '9')
	})
}

// subjectOf returns the user of a subject identifier; only users of this issuer can be left out of a stream.
func subjectOf(issuer string, id SubjectID) (string, error) {
	iss, _ := id["iss"].(string)
	sub, _ := id["sub"].(string)
	if id["format"] != "iss_sub" || iss != issuer || sub == "" || len(sub) > maxText {
		return "", fmt.Errorf("%w: subject: want the format iss_sub, with this issuer", ErrInvalid)
	}
	return sub, nil
}

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Longest members of a line, in bytes before escaping.
const (
	maxID        = 256 // sub, client_id, sid, actor.id, request_id
	maxUsername  = 256
	maxAddress   = 64
	maxUserAgent = 256
	maxReason    = 64
	maxDetail    = 1024
	maxDetails   = 16
)

// timeFormat has a fixed width, so that lines sort as text.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// line is an event as it is written. Its order is that of the members.
type line struct {
	Version   int               `json:"v"`
	Time      string            `json:"time"`
	ID        string            `json:"id"`
	Type      Type              `json:"type"`
	Outcome   Outcome           `json:"outcome"`
	Reason    string            `json:"reason,omitempty"`
	Actor     Actor             `json:"actor"`
	Subject   string            `json:"sub,omitempty"`
	Username  string            `json:"username,omitempty"`
	ClientID  string            `json:"client_id,omitempty"`
	SessionID string            `json:"sid,omitempty"`
	Address   string            `json:"address,omitempty"`
	UserAgent string            `json:"user_agent,omitempty"`
	RequestID string            `json:"request_id,omitempty"`
	Count     int               `json:"count,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
}

// Encode returns the event as one JSON object in ASCII, without a line break. It fails for a type that is not of the list,
// which is a defect of the caller.
func Encode(e Event) ([]byte, error) {
	if !e.Type.Known() {
		return nil, fmt.Errorf("audit: event type %q is not of the list", e.Type)
	}
	e = e.clean()
	text, err := json.Marshal(line{
		Version: Version, Time: e.Time.UTC().Format(timeFormat), ID: e.ID, Type: e.Type, Outcome: e.Outcome, Reason: e.Reason,
		Actor: e.Actor, Subject: e.Subject, Username: e.Username, ClientID: e.ClientID, SessionID: e.SessionID,
		Address: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID, Count: e.Count, Details: e.Details,
	})
	if err != nil {
		return nil, fmt.Errorf("audit: encoding an event: %w", err)
	}
	return ascii(text), nil
}

// clean returns the event with its defaults, and every text bounded and in valid UTF-8.
func (e Event) clean() Event {
	if e.Outcome == "" {
		e.Outcome = Success
	}
	if e.Actor.Type == "" {
		e.Actor.Type = System
	}
	e.ID, e.Actor.ID, e.Subject = cut(e.ID, maxID), cut(e.Actor.ID, maxID), cut(e.Subject, maxID)
	e.ClientID, e.SessionID, e.RequestID = cut(e.ClientID, maxID), cut(e.SessionID, maxID), cut(e.RequestID, maxID)
	e.Reason, e.Username = cut(e.Reason, maxReason), cut(e.Username, maxUsername)
	e.Address, e.UserAgent = cut(e.Address, maxAddress), cut(e.UserAgent, maxUserAgent)
	if len(e.Details) == 0 {
		return e
	}
	details := make(map[string]string, len(e.Details))
	for name, value := range e.Details {
		if len(details) < maxDetails {
			details[cut(name, maxReason)] = cut(value, maxDetail)
		}
	}
	e.Details = details
	return e
}

// cut bounds a text, between two characters.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// ascii escapes what is not printable ASCII in a JSON text, which is in strings only. A terminal would obey some of it:
// DEL, the C1 controls, and the characters that change the direction of writing.
func ascii(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7F }) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/2)
	for _, r := range string(text) {
		switch {
		case r < 0x7F:
			out = append(out, byte(r))
		case r > 0xFFFF:
			high, low := 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

package redisstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/authd-project/authd/session"
)

// The keys. Braces name what chooses the slot in a cluster: each session and each subject for itself.
//
//	authd:s:{SID}     record of a session; SID as in tokens
//	authd:u:{DIGEST}  index of a subject's sessions, see index.lua; DIGEST is SHA-256 cut to 16 bytes, in base64url
func recordKey(id session.ID) string { return "authd:s:{" + id.String() + "}" }

func indexKey(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return "authd:u:{" + base64.RawURLEncoding.EncodeToString(sum[:16]) + "}"
}

// record is a stored session. A live one is four lines, of which scripts read and write the first three. The time stamps
// are Unix microseconds; lines 2 to 4 are JSON, which has no newline inside.
//
//	live GENERATION SINCE REPLAYS CREATED LAST_USED
//	subject
//	address
//	description
//
// Of an ended one two remain:
//
//	ended TIME
//	subject
type record struct {
	state   state
	session session.Session // ID and Subject only once it has ended
}

type state uint8

const (
	stateNone state = iota
	stateLive
	stateEnded
)

// description is what never changes and scripts do not look at.
type description struct {
	Username  string   `json:"username,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	AuthTime  int64    `json:"auth_time"` // Unix seconds
	UserAgent string   `json:"agent,omitempty"`
}

// describe returns lines 2 to 4 of a record.
func describe(s session.Session) (string, error) {
	subject, err1 := json.Marshal(s.Subject)
	address, err2 := json.Marshal(s.Address)
	rest, err3 := json.Marshal(description{
		Username: s.Username, ClientID: s.ClientID, Scope: s.Scope, AMR: s.AMR, AuthTime: s.AuthTime.Unix(),
		UserAgent: s.UserAgent,
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", fmt.Errorf("encoding a session: %w", err)
	}
	return string(subject) + "\n" + string(address) + "\n" + string(rest), nil
}

// parseRecord reads a record. Errors do not repeat what it says, as it may say who logged in.
func parseRecord(id session.ID, stored string) (record, error) {
	lines := strings.Split(stored, "\n")
	var (
		r   record
		err error
	)
	switch {
	case strings.HasPrefix(lines[0], "live ") && len(lines) == 4:
		r.state = stateLive
		r.session, err = parseLive(lines)
	case strings.HasPrefix(lines[0], "ended ") && len(lines) == 2:
		r.state = stateEnded
		err = json.Unmarshal([]byte(lines[1]), &r.session.Subject)
	default:
		err = errors.New("neither live nor ended")
	}
	if err != nil {
		return record{}, fmt.Errorf("stored session %v: %w", id, err)
	}
	r.session.ID = id
	return r, nil
}

func parseLive(lines []string) (session.Session, error) {
	var (
		s                    session.Session
		d                    description
		since, created, used int64
	)
	_, err1 := fmt.Sscanf(lines[0], "live %d %d %d %d %d", &s.Chain.Generation, &since, &s.Chain.Replays, &created, &used)
	err2 := json.Unmarshal([]byte(lines[1]), &s.Subject)
	err3 := json.Unmarshal([]byte(lines[2]), &s.Address)
	err4 := json.Unmarshal([]byte(lines[3]), &d)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return session.Session{}, err
	}
	s.Chain.Since = time.UnixMicro(since)
	s.CreatedAt, s.LastUsedAt = time.UnixMicro(created), time.UnixMicro(used)
	s.Username, s.ClientID, s.Scope, s.AMR = d.Username, d.ClientID, d.Scope, d.AMR
	s.AuthTime, s.UserAgent = time.Unix(d.AuthTime, 0), d.UserAgent
	return s, nil
}

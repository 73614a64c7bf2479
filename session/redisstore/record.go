package redisstore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	session session.Session // ID, Subject and EndedAt only once it has ended
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
	ACR       string   `json:"acr,omitempty"`
	AuthTime  int64    `json:"auth_time"` // Unix seconds
	UserAgent string   `json:"agent,omitempty"`
	// Thumbprint is of the key; empty in sessions of bearer tokens, and all there were before.
	Thumbprint string `json:"jkt,omitempty"`
	// Parent is none in sessions that began with an authentication, and all there were before.
	Parent session.ID `json:"parent,omitzero"`
	// Once is random for each call of Create, so that create.lua tells the repeat of a call, whose answer was lost, from
	// another call with the same content.
	Once string `json:"once,omitempty"`
}

// describe returns lines 2 to 4 of a record that one call of Create makes.
func describe(s session.Session) (string, error) {
	subject, err1 := json.Marshal(s.Subject)
	address, err2 := json.Marshal(s.Address)
	rest, err3 := json.Marshal(description{
		Username: s.Username, ClientID: s.ClientID, Scope: s.Scope, AMR: s.AMR, ACR: s.ACR,
		AuthTime: s.AuthTime.Unix(), UserAgent: s.UserAgent, Thumbprint: s.KeyThumbprint,
		Parent: s.Parent, Once: rand.Text()[:12],
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
		r.session, err = parseEnded(lines)
	default:
		err = errors.New("neither live nor ended")
	}
	if err != nil {
		return record{}, fmt.Errorf("stored session %v: %w", id, err)
	}
	r.session.ID = id
	return r, nil
}

func parseEnded(lines []string) (s session.Session, err error) {
	var ended [1]int64
	err1 := parseNumbers(strings.TrimPrefix(lines[0], "ended "), ended[:])
	s.Subject, err = parseText(lines[1])
	s.EndedAt = time.UnixMicro(ended[0])
	return s, errors.Join(err1, err)
}

func parseLive(lines []string) (session.Session, error) {
	var s session.Session
	var d description
	var numbers [5]int64
	var err1, err2 error
	err := parseNumbers(strings.TrimPrefix(lines[0], "live "), numbers[:])
	s.Subject, err1 = parseText(lines[1])
	s.Address, err2 = parseText(lines[2])
	err3 := json.Unmarshal([]byte(lines[3]), &d)
	if err := errors.Join(err, err1, err2, err3); err != nil {
		return session.Session{}, err
	}
	s.Chain = session.Chain{
		Generation: uint64(numbers[0]), Since: time.UnixMicro(numbers[1]), Replays: int(numbers[2]),
	}
	s.CreatedAt, s.LastUsedAt = time.UnixMicro(numbers[3]), time.UnixMicro(numbers[4])
	s.Username, s.ClientID, s.Scope, s.AMR, s.ACR, s.Parent = d.Username, d.ClientID, d.Scope, d.AMR, d.ACR, d.Parent
	s.AuthTime, s.UserAgent, s.KeyThumbprint = time.Unix(d.AuthTime, 0), d.UserAgent, d.Thumbprint
	return s, nil
}

// parseNumbers reads the numbers of a first line: as many as there is room for.
func parseNumbers(line string, numbers []int64) (err error) {
	for i := range numbers {
		word, rest, more := strings.Cut(line, " ")
		if numbers[i], err = strconv.ParseInt(word, 10, 64); err != nil || more == (i == len(numbers)-1) {
			return errors.New("the first line has other numbers than wanted") // strconv's error repeats what it read
		}
		line = rest
	}
	return nil
}

// parseText reads a line that is a JSON string. Nearly all are what they look like.
func parseText(line string) (text string, err error) {
	if n := len(line); n >= 2 && line[0] == '"' && line[n-1] == '"' && isPlain(line[1:n-1]) {
		return line[1 : n-1], nil
	}
	if err := json.Unmarshal([]byte(line), &text); err != nil {
		return "", errors.New("a line wants a JSON string") // the decoder's error may repeat what it read
	}
	return text, nil
}

// isPlain tells whether the inside of a JSON string stands for itself.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

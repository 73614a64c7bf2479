package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/authd-project/authd/identity"
)

// Header carries the signature of a request: "t=", the time in Unix seconds, ",v1=", and the HMAC-SHA256, in hex, of the
// time as it stands there, a full stop, and the body. The receiver refuses what was signed more than five minutes ago, or
// after its own time by as much: a request that somebody has recorded cannot be sent again later. The webhooks of the audit
// log are signed in the same way.
const Header = "Authd-Signature"

// maxAnswer bounds the memory that an answer can cost, in bytes.
const maxAnswer = 64 << 10

// question is the body of a request.
type question struct {
	Type     string `json:"type"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Subject  string `json:"subject,omitempty"`
}

// answer is the body of a 200.
type answer struct {
	Subject           string    `json:"subject"`
	Username          string    `json:"username"`
	Roles             []string  `json:"roles"`
	Disabled          bool      `json:"disabled"`
	PasswordChangedAt time.Time `json:"password_changed_at"`
}

var (
	errNoAnswer  = errors.New("no answer in time")
	errLeftAlone = errors.New("it has not answered, and is left alone for a moment")
)

// ask sends a question and returns the account of the answer; ErrNotFound when there is none, ErrInvalidCredentials where
// the password is wrong.
func (s *Source) ask(ctx context.Context, q question) (identity.Account, error) {
	account, err := s.try(ctx, q)
	switch {
	case err == nil:
		return account, nil
	case errors.Is(err, identity.ErrNotFound) || errors.Is(err, identity.ErrInvalidCredentials):
		return identity.Account{}, err
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = errNoAnswer // and not DeadlineExceeded: the caller's time is not up
	}
	return identity.Account{}, fmt.Errorf("asking the webhook: %w: %w", identity.ErrUnavailable, err)
}

func (s *Source) try(caller context.Context, q question) (identity.Account, error) {
	ctx, cancel := context.WithTimeout(caller, s.c.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return identity.Account{}, ctx.Err()
	}
	if !s.circuit.enter(s.c.Now()) {
		return identity.Account{}, errLeftAlone
	}
	status, body, err := s.send(ctx, q)
	switch {
	case err != nil && caller.Err() != nil:
		s.circuit.leave(s.c.Now(), left) // nobody waited for the answer
		return identity.Account{}, err
	case err != nil || status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		s.circuit.leave(s.c.Now(), failed)
	default: // also an error: it may be one of this account alone
		s.circuit.leave(s.c.Now(), answered)
	}
	if err != nil {
		return identity.Account{}, err
	}
	switch {
	case status == http.StatusOK:
		return read(body)
	case status == http.StatusNotFound:
		return identity.Account{}, identity.ErrNotFound
	case status == http.StatusUnauthorized && q.Type == "login":
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return identity.Account{}, fmt.Errorf("unexpected status %d", status)
}

// send returns the status and the body of the answer.
func (s *Source) send(ctx context.Context, q question) (status int, body []byte, err error) {
	text, err := json.Marshal(q) //nolint:gosec // the password is what is asked about
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.c.URL, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "authd")
	request.Header.Set(Header, sign(s.c.Secret, s.c.Now(), text))
	// Nothing is changed by a request, so it may go again where a connection turns out to be dead. A nil value says that to
	// the transport, and is not sent.
	request.Header["Idempotency-Key"] = nil
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("an answer longer than %d bytes", maxAnswer)
	}
	return response.StatusCode, body, err
}

func sign(secret []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// read makes an account of an answer. The error quotes nothing of it that may be secret.
func read(body []byte) (identity.Account, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return identity.Account{}, errors.New("the answer is not the JSON of an account")
	}
	account, err := identity.Adopt(identity.Account{
		Subject: a.Subject, Username: a.Username, Roles: a.Roles, Disabled: a.Disabled, PasswordChangedAt: a.PasswordChangedAt,
	})
	if err != nil {
		// Not what the caller did wrong, whatever kind of error it is.
		return identity.Account{}, fmt.Errorf("the answer cannot be an account: %s", err.Error())
	}
	return account, nil
}

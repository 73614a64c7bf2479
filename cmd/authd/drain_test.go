package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// On SIGTERM every request that was accepted gets its answer, also under load and with feeds open.
func TestDrainAnswersWhatWasAccepted(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	g := s.login(t, demoUser, demoPassword)

	feed, err := http.Get(s.URL + "/v1/revocations")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Body.Close()

	var wg sync.WaitGroup
	var answered atomic.Int64
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/verify", nil)
				req.Header.Set("Authorization", "Bearer "+g.AccessToken)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					if !refusedOrIdle(err) {
						t.Errorf("a request was cut off: %v", err)
					}
					return
				}
				if resp.StatusCode != http.StatusOK {
					t.Errorf("answered %d while draining", resp.StatusCode)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answered.Add(1)
			}
		})
	}
	wait(t, 300*time.Millisecond)
	s.terminate(t)
	close(stop)
	wg.Wait()
	if answered.Load() == 0 {
		t.Error("no request was answered at all: the test proves nothing")
	}
}

// refusedOrIdle tells whether a request was never accepted: its connection was refused, or was closed while idle.
func refusedOrIdle(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		strings.Contains(err.Error(), "server closed idle connection")
}

// Whatever goes wrong, passwords and tokens stay out of the log, and each line is one JSON record.
func TestLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo", "--log-level", "debug")
	g := s.login(t, demoUser, demoPassword)
	renewed, _ := s.refresh(t, g.RefreshToken)
	const marked = "MARK-password-0123456789"
	s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": "demo\n\x1b[31mforged", "password": marked}, nil)
	s.call(t, http.MethodPost, "/v1/login?password="+marked, "", map[string]string{"passwordd": marked}, nil)
	s.call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": g.RefreshToken + "x"}, nil)
	s.call(t, http.MethodGet, "/v1/verify", g.AccessToken+"x", nil, nil)
	s.call(t, http.MethodGet, "/v1/verify?access_token="+g.AccessToken, "", nil, nil)
	s.logout(t, renewed, "all")
	s.verify(t, renewed.AccessToken)
	s.terminate(t)

	log := s.out.String()
	for name, secret := range map[string]string{
		"a password": marked, "an access token": g.AccessToken, "a refresh token": g.RefreshToken,
		"a signature": g.AccessToken[strings.LastIndexByte(g.AccessToken, '.')+1:], "a JWT header": "eyJ",
		"a renewed token": renewed.AccessToken, "a renewed refresh token": renewed.RefreshToken,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", name)
		}
	}
	records := 0
	for line := range bytes.Lines([]byte(log)) {
		if !bytes.HasPrefix(line, []byte("{")) {
			continue // the banner, for people
		}
		records++
		if !json.Valid(line) {
			t.Errorf("not a JSON record: %s", line)
		}
	}
	if records < 6 {
		t.Errorf("only %d records were logged", records)
	}
}

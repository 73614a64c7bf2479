package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// patience is how long tests wait for what has to happen, on a busy machine.
const patience = time.Minute

// client is somebody outside the cluster.
type client struct {
	http *http.Client
	host string // nginx's
}

func newClient(t *testing.T) *client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{&http.Client{Transport: transport, Timeout: patience}, shared.place.front}
}

// grant is the answer to a login or a refresh.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// call sends a request and decodes an answer of 200 into result.
func (c *client) call(ctx context.Context, method, url, bearer string, body, result any) (status int, err error) {
	data := []byte(nil)
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.host+url, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if result != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(answer, result)
	}
	return resp.StatusCode, err
}

func (c *client) login(ctx context.Context) (g grant, status int, err error) {
	status, err = c.call(ctx, http.MethodPost, ":8080/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword}, &g)
	return g, status, err
}

func (c *client) refresh(ctx context.Context, g grant) (next grant, status int, err error) {
	status, err = c.call(ctx, http.MethodPost, ":8080/v1/refresh", "", map[string]string{"refresh_token": g.RefreshToken}, &next)
	return next, status, err
}

func (c *client) logout(ctx context.Context, g grant) (status int, err error) {
	return c.call(ctx, http.MethodPost, ":8080/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil)
}

// Places that check a token: authd itself, nginx by asking authd, and the service by its mirror.
var places = []string{":8080/v1/verify", ":8000/orders", ":9090/orders"}

func (c *client) ask(ctx context.Context, place, token string) (status int, err error) {
	return c.call(ctx, http.MethodGet, place, token, nil, nil)
}

// mainJob logs in, is served everywhere, refreshes, logs out and is refused everywhere within the bound.
func (c *client) mainJob(t *testing.T) {
	t.Helper()
	if err := c.tryMainJob(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (c *client) tryMainJob(ctx context.Context) error {
	g, status, err := c.login(ctx)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("login: %d %w", status, orNone(err))
	}
	for _, place := range places {
		if status, err := c.ask(ctx, place, g.AccessToken); err != nil || status != http.StatusOK {
			return fmt.Errorf("%s: %d %w", place, status, orNone(err))
		}
	}
	if g, status, err = c.refresh(ctx, g); err != nil || status != http.StatusOK {
		return fmt.Errorf("refresh: %d %w", status, orNone(err))
	}
	if status, err := c.logout(ctx, g); err != nil || status != http.StatusNoContent {
		return fmt.Errorf("logout: %d %w", status, orNone(err))
	}
	const bound = 5 * time.Second
	for deadline := time.Now().Add(bound); ; time.Sleep(5 * time.Millisecond) {
		refused := 0
		late := time.Now().After(deadline)
		for _, place := range places {
			status, err := c.ask(ctx, place, g.AccessToken)
			switch {
			case err != nil || status != http.StatusOK && status != http.StatusUnauthorized:
				return fmt.Errorf("%s after the logout: %d %w", place, status, orNone(err))
			case status == http.StatusUnauthorized:
				refused++
			case late:
				return fmt.Errorf("%s accepts the token more than %v after the logout", place, bound)
			}
		}
		if refused == len(places) {
			return nil
		}
	}
}

type none struct{}

func (none) Error() string { return "" }

// orNone stands for no error where one is wrapped.
func orNone(err error) error {
	if err == nil {
		return none{}
	}
	return err
}

// until repeats what may fail for a while.
func until(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
	}
}

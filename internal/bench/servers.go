package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/internal/loadtest"
)

const (
	password     = "a long one for the bench"
	clientID     = "bench"
	clientSecret = "a secret of the bench, which is long too"
)

// cheapUsers are how many there are where logins are cheap. Each has few sessions, as people do.
const cheapUsers = 4096

func userName(i int) string { return fmt.Sprint("user", i) }

// endpoint is a server that runs.
type endpoint struct {
	*process
	addr  string // of what is measured
	admin string // of authd's admin API
	data  string // authd's folder
}

// startEmpty starts a server with a handler that does nothing: the floor.
func (l *lab) startEmpty(ctx context.Context, role string) (endpoint, error) {
	p, err := l.startChild(ctx, role)
	if err != nil {
		return endpoint{}, err
	}
	line, err := p.until("ready ")
	return endpoint{process: p, addr: strings.TrimPrefix(strings.TrimSpace(line), "ready ")}, err
}

// startRedis starts the distribution's server, which keeps nothing on disk, and returns its address.
func (l *lab) startRedis(ctx context.Context) (endpoint, error) {
	var err error
	for range 5 { // somebody may take the port between our choosing it and the server's binding it
		var port string
		if port, err = freePort(ctx); err != nil {
			return endpoint{}, err
		}
		var p *process
		p, err = l.start(ctx, "redis", "redis-server", []string{
			"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "",
		}, nil)
		if err != nil {
			return endpoint{}, fmt.Errorf("%w (internal/testenv/install.sh installs it)", err)
		}
		if _, err = p.until("Ready to accept connections"); err == nil {
			p.ignore()
			return endpoint{process: p, addr: net.JoinHostPort("127.0.0.1", port)}, nil
		}
	}
	return endpoint{}, err
}

func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("choosing a port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// authdOptions say what differs from how authd runs by default.
type authdOptions struct {
	redis string // address; none: the embedded default
	// cheap makes logins cheap, for what needs many sessions and does not measure logins. By default there are the users
	// that addUsers makes, with authd's own hashes.
	cheap bool
	args  []string
	env   []string
}

// startAuthd starts authd and waits until it is ready. Limits are so high that they refuse nothing, but each is kept.
func (l *lab) startAuthd(ctx context.Context, o authdOptions) (endpoint, error) {
	data, err := l.folder("data")
	if err != nil {
		return endpoint{}, err
	}
	secret := sha256.Sum256([]byte(clientSecret))
	args := []string{
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--clients", clientID + ":" + hex.EncodeToString(secret[:]),
		// Each refresh is to rotate, so the answer to a retry must be over when the same session comes again.
		"--refresh-grace", "1ms",
	}
	for _, budget := range []string{"address", "known", "known-each", "new", "new-each", "repeat"} {
		args = append(args, "--login-limits", budget+"=token-bucket 1000000/15m")
	}
	if o.redis != "" {
		kek := make([]byte, 32)
		rand.Read(kek) // never fails
		name := filepath.Join(data, "kek")
		if err := os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString(kek)+"\n"), 0o600); err != nil {
			return endpoint{}, fmt.Errorf("writing a key: %w", err)
		}
		args = append(args, "--redis", "redis://"+o.redis, "--kek-file", name)
	}
	if o.cheap {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			return endpoint{}, fmt.Errorf("hashing: %w", err)
		}
		name := filepath.Join(data, "htpasswd")
		var lines []byte
		for i := range cheapUsers {
			lines = fmt.Appendf(lines, "%s:%s\n", userName(i), hash)
		}
		if err := os.WriteFile(name, lines, 0o600); err != nil {
			return endpoint{}, fmt.Errorf("writing users: %w", err)
		}
		args = append(args, "--users", "htpasswd:"+name)
	}
	p, err := l.start(ctx, "authd", l.authd, append(args, o.args...), o.env)
	if err != nil {
		return endpoint{}, err
	}
	said, err := p.until("ready")
	if err != nil {
		return endpoint{}, err
	}
	p.ignore()
	public := regexp.MustCompile(`public API\s+http://(\S+)`).FindStringSubmatch(said)
	admin := regexp.MustCompile(`admin API\s+http://(\S+)`).FindStringSubmatch(said)
	if public == nil || admin == nil {
		return endpoint{}, fmt.Errorf("authd does not say where it listens:\n%s", said)
	}
	return endpoint{process: p, addr: public[1], admin: admin[1], data: data}, nil
}

// addUsers makes n users with the password, as authd keeps them by default.
func (s endpoint) addUsers(ctx context.Context, n int) error {
	token, err := os.ReadFile(filepath.Join(s.data, "admin-token"))
	if err != nil {
		return fmt.Errorf("reading the admin token: %w", err)
	}
	c, err := dial(ctx, s.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range n {
		status, body, err := c.Call(request(http.MethodPost, "/admin/users", "Bearer "+strings.TrimSpace(string(token)),
			"application/json", fmt.Sprintf(`{"username":%q,"password":%q}`, userName(i), password)))
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("answered %d: %s", status, body)
		}
		if err != nil {
			return fmt.Errorf("adding a user: %w", err)
		}
	}
	return nil
}

// request is the bytes of a request on a connection that stays open.
func request(method, path, authorization, contentType, body string) []byte {
	return loadtest.Request(method, "authd", path, authorization, contentType, body)
}

func getRequest(path string) []byte { return request(http.MethodGet, path, "", "", "") }

func verifyRequest(path string, g grant) []byte {
	return request(http.MethodGet, path, "Bearer "+g.AccessToken, "", "")
}

func introspectRequest(path string, g grant) []byte {
	credentials := url.QueryEscape(clientID) + ":" + url.QueryEscape(clientSecret)
	return request(http.MethodPost, path, "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)),
		"application/x-www-form-urlencoded", "token="+g.AccessToken)
}

func loginRequest(name string) []byte {
	return request(http.MethodPost, "/v1/login", "", "application/json", fmt.Sprintf(`{"username":%q,"password":%q}`, name, password))
}

func refreshRequest(refreshToken string) []byte {
	return request(http.MethodPost, "/v1/refresh", "", "application/json", `{"refresh_token":"`+refreshToken+`"}`)
}

func logoutRequest(g grant) []byte {
	return request(http.MethodPost, "/v1/logout", "Bearer "+g.AccessToken, "application/json", "{}")
}

// grant is the answer to a login and a refresh.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
}

// login logs in on a connection.
func (c *caller) login(name string) (g grant, err error) {
	body, err := c.expect(loginRequest(name))
	if err == nil {
		err = json.Unmarshal(body, &g)
	}
	if err != nil {
		return grant{}, fmt.Errorf("login: %w", err)
	}
	return g, nil
}

// logins makes n sessions of as many users.
func (s endpoint) logins(ctx context.Context, n int) ([]grant, error) {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	grants := make([]grant, n)
	for i := range grants {
		if grants[i], err = c.login(userName(i % cheapUsers)); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

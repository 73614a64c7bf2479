package testenv

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// JoseVerifier verifies tokens with npm's jose in a process of its own: a client that shares no code with authd. Its
// methods may be called concurrently.
type JoseVerifier struct {
	mu      sync.Mutex // guards what follows
	stdin   io.Writer
	last    int // id of the latest question
	waiting map[int]chan joseAnswer
	ended   error // why there will be no more answers
}

// joseQuestion and joseAnswer are the lines that jose/verify.mjs reads and writes.
type joseQuestion struct {
	ID       int    `json:"id"`
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	Token    string `json:"token"`
}

type joseAnswer struct {
	ID     int            `json:"id"`
	Claims map[string]any `json:"claims"`
	Error  string         `json:"error"`
}

// Jose starts a verifier that ends with the test. It finds an issuer's keys by discovery and keeps them, as a service
// would: createRemoteJWKSet and jwtVerify with their default caching, or with the options for createRemoteJWKSet that are
// given as JSON.
func Jose(t testing.TB, options ...string) *JoseVerifier {
	t.Helper()
	script := filepath.Join(JoseDir(t), "verify.mjs")
	if err := os.WriteFile(script, joseScript, 0o600); err != nil {
		t.Fatalf("starting jose: %v", err)
	}
	cmd := exec.Command("node", append([]string{script}, options...)...) //nolint:noctx // it ends with its input, in good order, when the test does
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("starting jose: %v", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("starting jose: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting jose: %v; install.sh installs node", err)
	}
	v := &JoseVerifier{stdin: stdin, waiting: make(map[int]chan joseAnswer)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		v.read(stdout)
	}()
	t.Cleanup(func() {
		stdin.Close() // the process ends with its input
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("jose: %v", err)
		}
	})
	return v
}

// Verify returns the claims of a good access token of issuer for audience, or jose's error code ("ERR_JWT_EXPIRED").
func (v *JoseVerifier) Verify(issuer, audience, token string) (map[string]any, error) {
	answer, err := v.ask(joseQuestion{Issuer: issuer, Audience: audience, Token: token})
	if err != nil {
		return nil, fmt.Errorf("asking jose: %w", err)
	}
	a, ok := <-answer
	switch {
	case !ok:
		v.mu.Lock()
		defer v.mu.Unlock()
		return nil, fmt.Errorf("asking jose: %w", v.ended)
	case a.Error != "":
		return nil, errors.New(a.Error)
	}
	return a.Claims, nil
}

func (v *JoseVerifier) ask(q joseQuestion) (<-chan joseAnswer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended != nil {
		return nil, v.ended
	}
	v.last++
	q.ID = v.last
	line, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if _, err := v.stdin.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	answer := make(chan joseAnswer, 1)
	v.waiting[q.ID] = answer
	return answer, nil
}

// read hands out the answers until the process ends.
func (v *JoseVerifier) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	err := io.EOF
	for lines.Scan() {
		var a joseAnswer
		if err = json.Unmarshal(lines.Bytes(), &a); err != nil {
			break
		}
		v.mu.Lock()
		if waiting, ok := v.waiting[a.ID]; ok {
			waiting <- a
			delete(v.waiting, a.ID)
		}
		v.mu.Unlock()
		err = io.EOF
	}
	_, _ = io.Copy(io.Discard, stdout) // so that the process can end
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = err
	for _, waiting := range v.waiting {
		close(waiting)
	}
}

//go:embed jose/package-lock.json
var joseLock []byte

//go:embed jose/verify.mjs
var joseScript []byte

// JoseDir makes a folder in which node finds jose, for scripts of a test's own.
func JoseDir(t testing.TB) string {
	t.Helper()
	return npmDir(t, "jose", joseLock)
}

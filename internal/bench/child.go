package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/identity"
)

// childWord, as the first argument, makes the program one of the parts that need a process of their own.
const childWord = "child"

// startChild starts this program in another role.
func (l *lab) startChild(ctx context.Context, role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the bench itself: %w", err)
	}
	return l.start(ctx, role, self, append([]string{childWord, role}, args...), nil)
}

// child plays a role until its parent ends it.
func child(ctx context.Context, role string, args []string) error {
	switch role {
	case "echo":
		return serveEmpty(ctx, emptyEcho())
	case "nethttp":
		return serveEmpty(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	case "hash":
		return hashOnDemand(args[0])
	case "mirrors":
		return holdMirrors(ctx, args[0], args[1:])
	case "boot":
		return bootMirrors(ctx, args[0])
	}
	return fmt.Errorf("no role %q", role)
}

// The paths of handlers that send and read as much as authd's routes do, and do nothing else.
const (
	pathLikeJWKS       = "/like-jwks"
	pathLikeVerify     = "/like-verify"
	pathLikeIntrospect = "/like-introspect"
)

// emptyEcho is the least that a service built on echo can be, and the least that it can be if it answers as authd does.
func emptyEcho() http.Handler {
	e := echo.New()
	e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	with := func(c echo.Context, names ...string) {
		for _, name := range append(names, "X-Request-Id", "Cache-Control", "X-Content-Type-Options") {
			c.Response().Header()[name] = []string{"0123456789abcdef0123456789abcdef"}
		}
	}
	body := []byte(strings.Repeat("x", 500)) // about as long as the JWKS and the answer to introspection
	e.GET(pathLikeJWKS, func(c echo.Context) error {
		with(c, "Etag")
		return c.Blob(http.StatusOK, "application/jwk-set+json", body)
	})
	e.GET(pathLikeVerify, func(c echo.Context) error {
		with(c, "X-Auth-Subject", "X-Auth-Session", "X-Auth-Scope")
		return c.NoContent(http.StatusOK)
	})
	e.POST(pathLikeIntrospect, func(c echo.Context) error {
		if _, err := io.ReadAll(c.Request().Body); err != nil {
			return err
		}
		with(c)
		return c.JSONBlob(http.StatusOK, body)
	})
	return e
}

func serveEmpty(ctx context.Context, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("ready", l.Addr())
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(l)
}

// eachLine handles lines of the standard input, in order, and prints what comes of each.
func eachLine(handle func(line string) (string, error)) error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		answer, err := handle(in.Text())
		if err != nil {
			return err
		}
		fmt.Println(answer)
	}
	return nil
}

// hashOnDemand reads how long to hash, and prints how many hashes were made in how many seconds. At most so many are made
// at once.
func hashOnDemand(atOnce string) error {
	n, err := strconv.Atoi(atOnce)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return eachLine(func(line string) (string, error) {
		d, err := time.ParseDuration(line)
		if err != nil {
			return "", err
		}
		began := time.Now()
		made := hashFor(n, began.Add(d))
		return fmt.Sprint(made, " ", time.Since(began).Seconds()), nil
	})
}

// hashFor makes hashes as authd's are by default, with nothing around them.
func hashFor(atOnce int, deadline time.Time) (made int) {
	p := identity.DefaultParams()
	counts := make(chan int)
	for range atOnce {
		go func() {
			n := 0
			for n == 0 || time.Now().Before(deadline) {
				argon2.IDKey([]byte(password), []byte("0123456789abcdef"), p.Time, p.Memory, p.Threads, 32)
				n++
			}
			counts <- n
		}()
	}
	for range atOnce {
		made += <-counts
	}
	return made
}

// hash lets a child hash for d. What it returns has no latencies.
func (p *process) hash(d time.Duration) (turn, error) {
	cpu := p.cpu()
	if err := p.tell(d.String()); err != nil {
		return turn{}, err
	}
	line, err := p.line()
	if err != nil {
		return turn{}, err
	}
	var made, seconds float64
	if _, err := fmt.Sscan(line, &made, &seconds); err != nil {
		return turn{}, fmt.Errorf("reading %q: %w", line, err)
	}
	return turn{rate: made / seconds, cpu: (p.cpu() - cpu) / time.Duration(made)}, nil
}

// runAll runs functions until the first fails or ctx ends.
func runAll(ctx context.Context, all ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range all {
		g.Go(func() error { return f(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

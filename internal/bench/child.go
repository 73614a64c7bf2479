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
		return serveEmpty(emptyEcho())
	case "nethttp":
		return serveEmpty(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	case "hash":
		return hashOnDemand(args[0])
	case "mirrors":
		return holdMirrors(ctx, args[0], args[1:])
	case "boot":
		return bootMirrors(ctx, args[0])
	}
	return fmt.Errorf("no role %q", role)
}

// emptyEcho is the least that a service built on echo can be.
func emptyEcho() http.Handler {
	e := echo.New()
	e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	return e
}

func serveEmpty(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
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

// hash asks a child that hashes for its rate.
func (p *process) hash(d time.Duration) (float64, error) {
	if err := p.tell(d.String()); err != nil {
		return 0, err
	}
	line, err := p.line()
	if err != nil {
		return 0, err
	}
	var made, seconds float64
	if _, err := fmt.Sscan(line, &made, &seconds); err != nil {
		return 0, fmt.Errorf("reading %q: %w", line, err)
	}
	return made / seconds, nil
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

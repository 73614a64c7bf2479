// Orders is a small service whose callers log in with authd: GET /orders answers the caller's own orders.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/authd-project/authd/middleware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	switch err := run(ctx, os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(stderr)
	issuer := flags.String("issuer", "http://127.0.0.1:8080", "URL of authd, exactly as in the tokens")
	listen := flags.String("listen", "127.0.0.1:9090", "address to serve on")
	audience := flags.String("audience", "authd", "name of this service in the tokens")
	if err := flags.Parse(args); err != nil {
		return err
	}

	// The guard outlives the signal, so that requests which are still being served can be checked.
	guard, err := middleware.New(context.WithoutCancel(ctx), *issuer, middleware.Options{
		Audience: *audience, Log: slog.New(slog.NewTextHandler(stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer guard.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "orders: listening on", listener.Addr())
	return serve(ctx, listener, routes(guard))
}

func routes(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Handler(http.HandlerFunc(listOrders)))
	return mux
}

type order struct {
	ID    int    `json:"id"`
	Item  string `json:"item"`
	State string `json:"state"`
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	claims, _ := middleware.ClaimsFrom(r.Context()) // behind the guard there always are claims
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]order{"orders": ordersOf(claims.Subject)}) // an error: the client is gone
}

// ordersOf would ask a database. Here everybody has the same two.
func ordersOf(string) []order {
	return []order{{1001, "teapot", "delivered"}, {1002, "two cups", "on its way"}}
}

// serve answers requests until ctx ends, and then those that have begun.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		drained <- server.Shutdown(drain)
	}()
	err := server.Serve(listener) // until Shutdown, or a failure
	cancel()
	if !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, <-drained)
	}
	return <-drained
}

// Wiki is a small web application whose users log in with authd: the authorization code flow with PKCE, an ID token,
// userinfo, refreshes, logout from here, and logout from anywhere else by the back channel. It knows nothing of authd but
// its URL: all it uses are go-oidc and golang.org/x/oauth2.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	switch err := run(ctx, os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "wiki:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("wiki", flag.ContinueOnError)
	flags.SetOutput(stderr)
	issuer := flags.String("issuer", "http://127.0.0.1:8080", "URL of authd")
	client := flags.String("client", "wiki", "client id at authd")
	secretFile := flags.String("secret-file", "", "file of the client's secret; none for a public client")
	listen := flags.String("listen", "127.0.0.1:9091", "address to serve on")
	own := flags.String("url", "", "URL of this application as browsers see it (default: from listen)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var secret []byte
	if *secretFile != "" {
		var err error
		if secret, err = os.ReadFile(*secretFile); err != nil {
			return err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	defer l.Close()
	if *own == "" {
		*own = "http://" + l.Addr().String()
	}
	w, err := newWiki(ctx, *issuer, *client, strings.TrimSpace(string(secret)), *own)
	if err != nil {
		return err
	}
	w.log = log.New(stderr, "wiki: ", 0)
	server := &http.Server{Handler: w.routes(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	w.log.Print("listening on ", *own)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(deadline)
}

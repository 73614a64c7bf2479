package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

// Server-sent events that end when the user logs out.
func ExampleWhileValid() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	events := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 1; ; n++ {
			fmt.Fprintf(w, "data: order %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Millisecond): // the next order
			case <-r.Context().Done(): // the client is gone, or the token is no longer good
				if errors.Is(context.Cause(r.Context()), token.ErrRevoked) {
					fmt.Fprint(w, "event: bye\n\n")
				}
				return
			}
		}
	}
	server := httptest.NewServer(guard.Handler(http.HandlerFunc(events), middleware.WhileValid()))
	defer server.Close()

	raw := issuer.Mint(token.Claims{Subject: "alice"})
	req, _ := http.NewRequest(http.MethodGet, server.URL, nil)
	req.Header.Set("Authorization", "Bearer "+raw)
	resp, err := server.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	lines, last := bufio.NewScanner(resp.Body), ""
	for lines.Scan() {
		switch {
		case lines.Text() == "data: order 1":
			fmt.Println(lines.Text())
		case lines.Text() == "data: order 5":
			issuer.Logout(raw)
		}
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	fmt.Println(last, lines.Err())
	// Output:
	// data: order 1
	// event: bye <nil>
}

// A websocket that is closed when the user logs out. Reading and writing with the request's context is all there is to it;
// here the close frame also says why.
func ExampleWhileValid_websocket() {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	echo := func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		stop := context.AfterFunc(r.Context(), func() { _ = conn.Close(websocket.StatusPolicyViolation, "log in again") })
		defer stop()
		ctx := context.WithoutCancel(r.Context()) // AfterFunc closes the connection, more politely
		for {
			kind, message, err := conn.Read(ctx)
			if err != nil || conn.Write(ctx, kind, message) != nil {
				return
			}
		}
	}
	server := httptest.NewServer(guard.Handler(http.HandlerFunc(echo), middleware.WhileValid()))
	defer server.Close()

	ctx := context.Background()
	raw := issuer.Mint(token.Claims{Subject: "alice"})
	conn, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + raw}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.CloseNow()
	_ = conn.Write(ctx, websocket.MessageText, []byte("hello"))
	_, message, _ := conn.Read(ctx)
	fmt.Printf("%s\n", message)

	issuer.Logout(raw)
	_, _, err = conn.Read(ctx)
	var closed websocket.CloseError
	fmt.Println(errors.As(err, &closed), closed.Code, closed.Reason)
	// Output:
	// hello
	// true StatusPolicyViolation log in again
}

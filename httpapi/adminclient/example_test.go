package adminclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/authd-project/authd/httpapi/adminclient"
)

func ExampleClient() {
	// In earnest this is the admin listener's handler, or its URL without a Transport.
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"title":"Not Found","status":404,"code":"not_found","detail":"No such user."}`)
	})
	c, err := adminclient.New(adminclient.Config{
		URL: "http://127.0.0.1:8081", Token: "the admin token", Transport: adminclient.InProcess(handler),
	})
	if err != nil {
		panic(err)
	}
	err = c.DisableUser(context.Background(), "carol")
	var refusal *adminclient.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, "-", err)
	}
	// Output: not_found - No such user (404 not_found)
}

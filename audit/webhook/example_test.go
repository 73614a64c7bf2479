package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/audit/webhook"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/docs"
)

func receive(secret []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = webhook.Verify(secret, r.Header.Get(webhook.Header), body, time.Now(), 5*time.Minute)
		}
		var batch struct {
			Events []struct{ ID, Type, Username, Address string }
		}
		if err == nil {
			err = json.Unmarshal(body, &batch)
		}
		if err != nil {
			http.Error(w, "not from authd", http.StatusBadRequest)
			return
		}
		for _, e := range batch.Events {
			fmt.Println(e.Username, e.Type, "from", e.Address)
		}
	}
}

func Example() {
	folder, err := os.MkdirTemp("", "webhook")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	file, err := boltfile.Open(folder + "/authd.db")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	secret := []byte("shared with the receiver only")
	server := httptest.NewServer(receive(secret))
	defer server.Close()

	hook, err := webhook.Open(webhook.Config{URL: server.URL, Secret: secret, Spool: file})
	if err != nil {
		panic(err)
	}
	defer hook.Close()
	line, err := audit.Encode(audit.Event{Type: audit.LoginNewAddress, Username: "alice", Address: "192.0.2.7"})
	if err != nil {
		panic(err)
	}
	if _, err := hook.Write(context.Background(), []audit.Entry{{Line: line}}); err != nil {
		panic(err)
	}
	for hook.Backlog() > 0 {
		time.Sleep(time.Millisecond)
	}
	// Output: alice login_new_address from 192.0.2.7
}

// The guide shows the receiver of the example.
func TestGuideShowsTheExample(t *testing.T) {
	own, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(own), docs.Text(t, "docs/audit.md", "go", 0)) {
		t.Error("docs/audit.md shows another receiver than the example")
	}
}

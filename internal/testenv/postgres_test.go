package testenv_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/authd-project/authd/internal/testenv"
)

func TestPostgres(t *testing.T) {
	server := testenv.NewPostgres(t)
	url := server.Database(t, "")
	if other := server.Database(t, ""); other == url {
		t.Errorf("two databases have the URL %s", url)
	}
	server.Exec(t, url, "CREATE TABLE public.kept (x int); GRANT SELECT ON public.kept TO PUBLIC")

	server.Stop()
	server.Stop()
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("a server that was stopped answers")
		_ = conn.Close(t.Context())
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT x FROM kept"); err != nil {
		t.Errorf("after a restart: %v", err)
	}

	server.Freeze()
	answered := make(chan error)
	go func() { _, err := conn.Exec(t.Context(), "SELECT 1"); answered <- err }()
	select {
	case <-answered:
		t.Error("a frozen server answers")
	case <-time.After(100 * time.Millisecond): // a running one would have
		server.Thaw()
		if err := <-answered; err != nil {
			t.Errorf("after the thaw: %v", err)
		}
	}
}

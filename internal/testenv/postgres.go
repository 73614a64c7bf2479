package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/authd-project/authd/internal/programs"
)

// Roles of a [PostgresServer], with their passwords.
const (
	postgresSuper         = "postgres"
	postgresSuperPassword = "made-for-tests"
	postgresOwner         = "authd_owner" // owns every database; no superuser
	postgresOwnerPassword = "also-made-for-tests"
)

// PostgresServer is a PostgreSQL of a test's own that the test can hurt. It speaks TCP on a free loopback port, asks for
// passwords (SCRAM) and offers TLS. Methods are called from one goroutine at a time, but Database and Exec.
type PostgresServer struct {
	Addr string // HOST:PORT
	CA   string // file of the certificate that its own certificate is checked with; the name in it is 127.0.0.1

	dir  string
	args []string
	as   *syscall.Credential // nil: the user who runs the test
	cmd  *exec.Cmd
	done chan struct{} // closed when all the server's output has been read

	databases atomic.Int32
}

// NewPostgres starts a server that ends with the test. Arguments are settings of the server, such as
// "max_connections=5".
func NewPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	s, err := StartPostgres(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	return s
}

// StartPostgres is [NewPostgres] for a TestMain, whose tests share a server. It must call Remove.
func StartPostgres(settings ...string) (_ *PostgresServer, err error) {
	s := &PostgresServer{}
	if s.as, err = programs.Unprivileged(); err != nil {
		return nil, err
	}
	// Not a test's own folder: those are closed to the unprivileged user.
	if s.dir, err = os.MkdirTemp("", "authd-postgres-"); err != nil {
		return nil, fmt.Errorf("making the server's folder: %w", err)
	}
	for _, step := range []func() error{
		func() error { return s.give(s.dir) }, s.initialize, s.certify,
		func() error { return s.launch(settings) }, s.makeOwner,
	} {
		if err = step(); err != nil {
			s.Remove()
			return nil, fmt.Errorf("starting PostgreSQL: %w", err)
		}
	}
	return s, nil
}

func (s *PostgresServer) makeOwner() error {
	return s.exec(context.Background(), "postgres",
		"CREATE ROLE "+postgresOwner+" LOGIN PASSWORD '"+postgresOwnerPassword+"'")
}

// give makes the server's user the owner of a file.
func (s *PostgresServer) give(name string) error {
	if s.as == nil {
		return nil
	}
	return os.Chown(name, int(s.as.Uid), int(s.as.Gid))
}

// initialize makes the server's data folder.
func (s *PostgresServer) initialize() error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(postgresSuperPassword), 0o600); err != nil {
		return fmt.Errorf("writing the password: %w", err)
	}
	if err := s.give(password); err != nil {
		return fmt.Errorf("writing the password: %w", err)
	}
	cmd, err := s.command("initdb", "--pgdata", s.data(), "--username", postgresSuper, "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// command is a program of PostgreSQL, to be run by the server's user. It ends when the test's process does.
func (s *PostgresServer) command(name string, args ...string) (*exec.Cmd, error) {
	binary, err := postgresBinary(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...) //nolint:noctx // lives as long as the test: Stop ends it
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
	return cmd, nil
}

// postgresBinary finds a program of PostgreSQL.
func postgresBinary(name string) (string, error) {
	binary, err := programs.Find(name)
	if err != nil {
		return "", fmt.Errorf("%s is missing; install it with internal/testenv/install.sh (make test does): %w", name, err)
	}
	return binary, nil
}

// launch starts the server on a port that is free.
func (s *PostgresServer) launch(settings []string) error {
	const attempts = 5 // somebody else may take the port between our choosing it and the server's binding it
	var err error
	for range attempts {
		var port string
		if port, err = freePort(); err != nil {
			return err
		}
		s.Addr = "127.0.0.1:" + port
		s.args = []string{"-D", s.data(), "-p", port}
		for _, setting := range append([]string{
			"listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off",
			"shared_buffers=16MB", "ssl=on", "log_checkpoints=off",
		}, settings...) {
			s.args = append(s.args, "-c", setting)
		}
		if err = s.Start(); err == nil {
			return nil
		}
	}
	return err
}

// Start starts a server that was stopped, on the same port and with what was committed.
func (s *PostgresServer) Start() error {
	cmd, err := s.command("postgres", s.args...)
	if err != nil {
		return err
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("connecting to the server's log: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	seen, ok := awaitReady(log, "database system is ready to accept connections")
	go func() {
		defer close(s.done)
		_, _ = io.Copy(io.Discard, log)
	}()
	if !ok {
		s.Stop()
		return fmt.Errorf("the server did not become ready:\n%s", seen)
	}
	return nil
}

// Stop ends the server and all connections without notice, as a crash would. What was committed is not lost. Stopping it
// twice does no harm.
func (s *PostgresServer) Stop() {
	if s.cmd == nil {
		return
	}
	s.Thaw()
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended already
	<-s.done
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Remove stops the server for good.
func (s *PostgresServer) Remove() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// Freeze stops the server in the middle of what it does: connections stay open, nothing is answered.
func (s *PostgresServer) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *PostgresServer) Thaw() { s.signal(syscall.SIGCONT) }

// signal reaches the server and its processes, of which each connection has one. The server comes first, so that it makes
// no more of them.
func (s *PostgresServer) signal(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(sig) // it may have ended, and so may its processes
	for _, pid := range children(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, sig)
	}
}

// children returns the processes whose parent is pid.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// "PID (NAME) STATE PPID …", and a name may contain anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, child)
		}
	}
	return pids
}

// Database makes an empty database and returns the URL under which its owner, who is no superuser, reaches it. Options
// are those of CREATE DATABASE.
func (s *PostgresServer) Database(t testing.TB, options string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	s.Exec(t, "postgres", fmt.Sprintf("CREATE DATABASE %s OWNER %s %s", name, postgresOwner, options))
	return s.URL(postgresOwner, postgresOwnerPassword, name)
}

// URL is how somebody reaches a database.
func (s *PostgresServer) URL(role, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: s.Addr, Path: "/" + database}
	return u.String() + "?sslmode=disable"
}

// Exec runs SQL as superuser in a database, named by itself or by the URL of [PostgresServer.Database].
func (s *PostgresServer) Exec(t testing.TB, database, sql string) {
	t.Helper()
	if u, err := url.Parse(database); err == nil && u.Path != "" && u.Scheme != "" {
		database = strings.TrimPrefix(u.Path, "/")
	}
	if err := s.exec(context.WithoutCancel(t.Context()), database, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (s *PostgresServer) exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL(postgresSuper, postgresSuperPassword, database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

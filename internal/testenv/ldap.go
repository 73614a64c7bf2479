package testenv

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/programs"
)

// What every [LDAPServer] has before a test adds anything.
const (
	LDAPSuffix        = "dc=example,dc=com"
	LDAPAdmin         = "cn=admin," + LDAPSuffix // may do everything
	LDAPAdminPassword = "made-for-tests"
	// LDAPReader is an account that may read everything but passwords.
	LDAPReader         = "cn=authd,ou=services," + LDAPSuffix
	LDAPReaderPassword = "also-made-for-tests"
)

// LDAPServer is an OpenLDAP server of a test's own that the test can hurt. It has the overlays memberof and ppolicy, and
// the units people, groups and services. Methods are called from one goroutine at a time, but Log.
type LDAPServer struct {
	Addr    string // HOST:PORT; speaks StartTLS too
	AddrTLS string // HOST:PORT, TLS from the start
	CA      string // file of the certificate that its own certificate is checked with; the name in it is 127.0.0.1

	dir string
	cmd *exec.Cmd
	log ldapLog
}

// NewLDAP starts a server that ends with the test.
func NewLDAP(t testing.TB) *LDAPServer {
	t.Helper()
	s, err := StartLDAP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	return s
}

// StartLDAP is [NewLDAP] for a TestMain, whose tests share a server. It must call Remove.
func StartLDAP() (_ *LDAPServer, err error) {
	s := &LDAPServer{}
	if s.dir, err = os.MkdirTemp("", "authd-ldap-"); err != nil {
		return nil, fmt.Errorf("making the server's folder: %w", err)
	}
	for _, step := range []func() error{s.certify, s.configure, s.launch, func() error { return s.apply(ldapUnits) }} {
		if err = step(); err != nil {
			s.Remove()
			return nil, fmt.Errorf("starting slapd: %w", err)
		}
	}
	return s, nil
}

const ldapUnits = `dn: ` + LDAPSuffix + `
changetype: add
objectClass: dcObject
objectClass: organization
o: Example

dn: ou=people,` + LDAPSuffix + `
changetype: add
objectClass: organizationalUnit

dn: ou=groups,` + LDAPSuffix + `
changetype: add
objectClass: organizationalUnit

dn: ou=services,` + LDAPSuffix + `
changetype: add
objectClass: organizationalUnit

dn: ` + LDAPReader + `
changetype: add
objectClass: applicationProcess
objectClass: simpleSecurityObject
userPassword: ` + LDAPReaderPassword + `

dn: ` + ldapPolicy + `
changetype: add
objectClass: device
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxAge: 315360000
`

// ldapPolicy is the password policy of everybody: administrators can lock accounts, and the time of changes is kept, as
// passwords have an age.
const ldapPolicy = "cn=policy,ou=services," + LDAPSuffix

func (s *LDAPServer) configure() error {
	data := filepath.Join(s.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	text := `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile ` + s.dir + `/pid
TLSCertificateFile ` + s.dir + `/server.crt
TLSCertificateKeyFile ` + s.dir + `/server.key
TLSVerifyClient never
database mdb
suffix ` + LDAPSuffix + `
rootdn ` + LDAPAdmin + `
rootpw ` + LDAPAdminPassword + `
directory ` + data + `
dbnosync
index objectClass,entryUUID,uid,mail,member eq
access to attrs=userPassword by anonymous auth by self write by * none
access to * by * read
overlay memberof
overlay ppolicy
ppolicy_default ` + ldapPolicy + `
ppolicy_hash_cleartext
`
	return os.WriteFile(s.config(), []byte(text), 0o600)
}

func (s *LDAPServer) config() string { return filepath.Join(s.dir, "slapd.conf") }

// launch starts the server on ports that are free.
func (s *LDAPServer) launch() error {
	const attempts = 5 // somebody else may take a port between our choosing it and the server's binding it
	var err error
	for range attempts {
		for _, addr := range []*string{&s.Addr, &s.AddrTLS} {
			var port string
			if port, err = freePort(); err != nil {
				return err
			}
			*addr = "127.0.0.1:" + port
		}
		if err = s.Start(); err == nil {
			return nil
		}
	}
	return err
}

// ldapBinary finds a program of OpenLDAP.
func ldapBinary(name string) (string, error) {
	binary, err := programs.Find(name)
	if err != nil {
		return "", fmt.Errorf("%s is missing; install it with internal/testenv/install.sh (make test does): %w", name, err)
	}
	return binary, nil
}

// Start starts a server that was stopped, on the same ports and with what was in it.
func (s *LDAPServer) Start() error {
	binary, err := ldapBinary("slapd")
	if err != nil {
		return err
	}
	const stats = "256"                                                                                      // requests and their results; any level keeps it in the foreground
	cmd := exec.Command(binary, "-d", stats, "-f", s.config(), "-h", "ldap://"+s.Addr+" ldaps://"+s.AddrTLS) //nolint:noctx // lives as long as the test: Stop ends it
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("connecting to the server's log: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", binary, err)
	}
	s.cmd = cmd
	s.log.begin(log)
	if !s.log.await("slapd starting") || !s.listens() {
		s.Stop()
		return fmt.Errorf("the server did not become ready:\n%s", strings.Join(s.Log(), "\n"))
	}
	return nil
}

// listens waits until the server does, which is a moment after it says that it starts.
func (s *LDAPServer) listens() bool {
	for {
		c, err := net.Dial("tcp", s.AddrTLS) //nolint:noctx // connecting to loopback does not wait
		if err == nil {
			_ = c.Close()
			return true
		}
		select {
		case <-s.log.done: // it has ended
			return false
		case <-time.After(time.Millisecond):
		}
	}
}

// Stop ends the server and all connections without notice, as a crash would. What was added is not lost. Stopping it
// twice does no harm.
func (s *LDAPServer) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.log.done
	_ = s.cmd.Wait() // "signal: killed"
	s.cmd = nil
}

// Remove stops the server for good.
func (s *LDAPServer) Remove() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// Freeze stops the server in the middle of what it does: connections stay open, nothing is answered.
func (s *LDAPServer) Freeze() error { return freeze(s.cmd.Process.Pid) }

// Thaw lets a frozen server go on.
func (s *LDAPServer) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Apply makes the changes that an LDIF describes (RFC 2849), as LDAPAdmin.
func (s *LDAPServer) Apply(t testing.TB, ldif string) {
	t.Helper()
	if err := s.apply(ldif); err != nil {
		t.Fatal(err)
	}
}

func (s *LDAPServer) apply(ldif string) error {
	binary, err := ldapBinary("ldapmodify")
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "-x", "-H", "ldap://"+s.Addr, "-D", LDAPAdmin, "-w", LDAPAdminPassword) //nolint:noctx // ends by itself
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ldapmodify: %w\n%s", err, out)
	}
	return nil
}

// Log returns what the server has logged since it started: a line for each request and each result. The requests that
// were answered before the call are in it, and a connection that the call itself makes. The server must not be frozen.
func (s *LDAPServer) Log() []string {
	if c, err := net.Dial("tcp", s.Addr); err == nil { //nolint:noctx // connecting to loopback does not wait
		s.log.await("ACCEPT from IP=" + c.LocalAddr().String() + " ")
		_ = c.Close()
	}
	return s.log.lines()
}

// certify gives the server a certificate of its own making.
func (s *LDAPServer) certify() error {
	certificate, private, err := selfSigned("OpenLDAP for tests")
	if err != nil {
		return err
	}
	s.CA = filepath.Join(s.dir, "server.crt")
	return errors.Join(
		os.WriteFile(s.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600),
		os.WriteFile(filepath.Join(s.dir, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// ldapLog collects what a server logs.
type ldapLog struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next line
	done    chan struct{} // closed when all has been read
}

// begin reads a server's log until the server ends.
func (l *ldapLog) begin(from io.Reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	l.changed, l.done = make(chan struct{}), make(chan struct{})
	done := l.done
	go func() {
		defer close(done)
		_, _ = io.Copy(l, from)
	}()
}

func (l *ldapLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

// await reports whether a text comes before the log ends.
func (l *ldapLog) await(text string) bool {
	for {
		l.mu.Lock()
		found, changed := strings.Contains(l.text.String(), text), l.changed
		l.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

func (l *ldapLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

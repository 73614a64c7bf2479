// Package redisurl makes Redis clients from one URL, whatever the servers' topology:
//
//	redis://USER:PASSWORD@HOST:PORT/DB           one server
//	redis://HOST:PORT,HOST:PORT,…                a cluster, by some of its nodes
//	redis-cluster://HOST:PORT                    a cluster, by one
//	redis-sentinel://HOST:PORT,…/DB?master=NAME  the primary that these sentinels watch under this name
//
// rediss, rediss-cluster and rediss-sentinel are the same over TLS. User, password and DB may be left out, the port too
// (6379, for sentinels 26379). What is special in a URL must be percent-encoded. Parameters:
//
//	master                                 name of the primary; required with sentinels
//	sentinel_username, sentinel_password   for the sentinels themselves
//	tls_ca, tls_cert, tls_key              PEM files: authorities to trust instead of the system's, client certificate
//	tls_server_name                        name in the servers' certificates, where it is not the host's
//	pool_size                              connections for each server; default ten for each CPU
//	dial_timeout                           default 5s
package redisurl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Open returns a client for the servers that text names. It does not connect yet. Errors never contain a password.
func Open(text string) (redis.UniversalClient, error) {
	o, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return redis.NewUniversalClient(o), nil
}

// Parse returns the options that text means. Contexts bound every call.
func Parse(text string) (*redis.UniversalOptions, error) {
	u, hosts, err := split(text)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	o := &redis.UniversalOptions{ContextTimeoutEnabled: true}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	p := params{values: u.Query()}
	base, topology, _ := strings.Cut(u.Scheme, "-")
	port := "6379"
	switch topology {
	case "":
		o.IsClusterMode = len(hosts) > 1
	case "cluster":
		o.IsClusterMode = true
	case "sentinel":
		port = "26379"
		o.MasterName = p.text("master")
		o.SentinelUsername, o.SentinelPassword = p.text("sentinel_username"), p.text("sentinel_password")
		p.check(o.MasterName != "", "master: required with sentinels")
	}
	for _, h := range hosts {
		addr, err := withPort(h, port)
		p.check(err == nil, "%v", err)
		o.Addrs = append(o.Addrs, addr)
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		o.DB, err = strconv.Atoi(db)
		p.check(err == nil && o.DB >= 0, "path: want the number of a database")
		p.check(o.DB == 0 || !o.IsClusterMode, "path: a cluster has no database but 0")
	}
	o.PoolSize, o.DialTimeout = p.number("pool_size"), p.duration("dial_timeout")
	if base == "rediss" {
		o.TLSConfig = p.tls()
	}
	if err := p.done(); err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	return o, nil
}

// schemes are all there are.
var schemes = []string{"redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel"}

// split takes the list of hosts out of the URL, which net/url would refuse. Its errors do not quote the URL.
func split(text string) (u *url.URL, hosts []string, err error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok || !slices.Contains(schemes, scheme) {
		return nil, nil, fmt.Errorf("want one that begins with %s", strings.Join(schemes, "://, ")+"://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	user := ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, authority = authority[:i+1], authority[i+1:]
	}
	u, err = url.Parse(scheme + "://" + user + "host" + tail)
	if err != nil {
		return nil, nil, errors.New("malformed; what is special in a user name, password or parameter must be percent-encoded")
	}
	if u.Fragment != "" {
		return nil, nil, errors.New("want no fragment; percent-encode # in a password")
	}
	return u, strings.Split(authority, ","), nil
}

// withPort completes an address. An IPv6 address needs brackets.
func withPort(host, port string) (string, error) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	} else if strings.Contains(strings.Trim(host, "[]"), ":") && !strings.HasPrefix(host, "[") {
		return "", fmt.Errorf("host %q: an IPv6 address needs brackets", host)
	}
	host = strings.Trim(host, "[]")
	if host == "" {
		return "", errors.New("host: required")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("host %q: want a port between 1 and 65535", host)
	}
	return net.JoinHostPort(host, port), nil
}

// params takes parameters one by one and collects what is wrong with them.
type params struct {
	values url.Values
	errs   []error
}

func (p *params) check(ok bool, format string, args ...any) {
	if !ok {
		p.errs = append(p.errs, fmt.Errorf(format, args...))
	}
}

func (p *params) text(name string) string {
	v := p.values[name]
	delete(p.values, name)
	p.check(len(v) <= 1, "%s: given twice", name)
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func (p *params) number(name string) int {
	s := p.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	p.check(err == nil && n > 0, "%s: want a number above 0", name)
	return n
}

func (p *params) duration(name string) time.Duration {
	s := p.text(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	p.check(err == nil && d > 0, "%s: want a duration above 0, such as 2s", name)
	return d
}

func (p *params) tls() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.text("tls_server_name")}
	if file := p.text("tls_ca"); file != "" {
		pem, err := os.ReadFile(file)
		p.check(err == nil, "tls_ca: %v", err)
		cfg.RootCAs = x509.NewCertPool()
		p.check(err != nil || cfg.RootCAs.AppendCertsFromPEM(pem), "tls_ca: no certificate in %s", file)
	}
	cert, key := p.text("tls_cert"), p.text("tls_key")
	p.check((cert == "") == (key == ""), "tls_cert and tls_key: want both or neither")
	if cert != "" && key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		p.check(err == nil, "tls_cert and tls_key: %v", err)
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

// done returns everything that was wrong, unknown parameters included.
func (p *params) done() error {
	for name := range p.values {
		p.check(false, "unknown parameter %q", name)
	}
	return errors.Join(p.errs...)
}

package sqldb

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgresParameters are what a URL may set. Whatever else it says would be sent to the server as a setting, secrets and
// slips of the pen included.
var postgresParameters = []string{
	"application_name", "channel_binding", "connect_timeout", "default_query_exec_mode", "host", "options", "passfile",
	"pool_max_conns", "port", "require_auth", "search_path", "sslcert", "sslkey", "sslmode", "sslnegotiation",
	"sslrootcert", "target_session_attrs",
}

// PostgresAddress returns what a URL leads to, as HOST:PORT/DATABASE without user or password, or an error that says what
// is wrong with it and quotes nothing that may be secret. It does not connect.
//
// The URL is libpq's: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, also with several hosts, of which
// the one that takes writes is used, or with a folder of sockets as in postgres:///DATABASE?host=/run/postgresql. What it
// leaves out comes from libpq's environment variables (PGPASSWORD and so on) and password file. pool_max_conns bounds the
// connections of this process (default 8), connect_timeout the seconds for each host (default 3). A host that is not on
// loopback needs an sslmode that does not fall back to clear text, or sslmode=disable.
func PostgresAddress(url string) (string, error) {
	config, _, err := parsePostgresURL(url)
	if err != nil {
		return "", err
	}
	return postgresAddress(config), nil
}

func postgresAddress(config *pgx.ConnConfig) string {
	var hosts []string
	for _, e := range endpoints(config) {
		hosts = append(hosts, net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
	}
	return strings.Join(slices.Compact(hosts), ",") + "/" + config.Database
}

// parsePostgresURL returns how to connect and the largest number of connections.
func parsePostgresURL(text string) (*pgx.ConnConfig, int, error) {
	public, password, connections, err := splitPostgresURL(text)
	if err != nil {
		return nil, 0, fmt.Errorf("PostgreSQL URL: %w", err)
	}
	config, err := pgx.ParseConfig(public)
	if err != nil {
		// The text begins with the whole URL.
		reason := err.Error()
		return nil, 0, fmt.Errorf("PostgreSQL URL: %s", reason[strings.LastIndex(reason, "`: ")+len("`: "):])
	}
	if config.Database == "" {
		return nil, 0, errors.New("PostgreSQL URL: names no database")
	}
	for _, e := range endpoints(config) {
		// More than one way to the same host is what sslmode prefer and allow mean: clear text if need be.
		if e.TLSConfig == nil && !local(e) && anyTLS(config) {
			return nil, 0, fmt.Errorf("PostgreSQL URL: sslmode: passwords could cross the network to %s in clear; "+
				"want verify-full, or disable where the network is trusted", e.Host)
		}
	}
	if password != "" {
		config.Password = password
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = postgresConnectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "authd"
	}
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return config, connections, nil
}

// splitPostgresURL takes the password out of a URL, so that nothing that is said about the rest can quote it, and what
// pgx does not know. It does not use net/url for the whole, which refuses several hosts.
func splitPostgresURL(text string) (public, password string, connections int, err error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return "", "", 0, errors.New("want postgres://USER@HOST/DATABASE")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.Count(authority, "@") > 1 || strings.ContainsAny(tail, "@#") {
		return "", "", 0, errors.New("malformed; what is special in a user name, password or parameter must be percent-encoded")
	}
	user, hosts, named := strings.Cut(authority, "@")
	if named {
		var encoded string
		user, encoded, _ = strings.Cut(user, ":")
		if password, err = url.PathUnescape(encoded); err != nil {
			return "", "", 0, errors.New("malformed; what is special in a password must be percent-encoded")
		}
		hosts = user + "@" + hosts
	} else {
		hosts = authority
	}
	path, query, _ := strings.Cut(tail, "?")
	query, connections, err = postgresQuery(query)
	if err != nil {
		return "", "", 0, err
	}
	return "postgres://" + hosts + path + query, password, connections, nil
}

// postgresQuery checks the parameters of a URL and takes out pool_max_conns.
func postgresQuery(query string) (rest string, connections int, err error) {
	connections = postgresConnections
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch {
		case pair == "":
			continue
		case !slices.Contains(postgresParameters, key):
			return "", 0, fmt.Errorf("a parameter is not one of %s", strings.Join(postgresParameters, ", "))
		case key == "target_session_attrs" && value != "read-write" && value != "primary":
			return "", 0, errors.New("target_session_attrs: only a server that takes writes will do")
		case key == "pool_max_conns":
			if connections, err = strconv.Atoi(value); err != nil || connections < 1 {
				return "", 0, errors.New("pool_max_conns: want a number above 0")
			}
			continue
		}
		kept = append(kept, pair)
	}
	if len(kept) == 0 {
		return "", connections, nil
	}
	return "?" + strings.Join(kept, "&"), connections, nil
}

// endpoints are the ways to connect in the order in which they are tried.
func endpoints(config *pgx.ConnConfig) []*pgconn.FallbackConfig {
	first := &pgconn.FallbackConfig{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}
	return append([]*pgconn.FallbackConfig{first}, config.Fallbacks...)
}

func anyTLS(config *pgx.ConnConfig) bool {
	return slices.ContainsFunc(endpoints(config), func(e *pgconn.FallbackConfig) bool { return e.TLSConfig != nil })
}

// local reports whether an endpoint is of this machine.
func local(e *pgconn.FallbackConfig) bool {
	if network, _ := pgconn.NetworkAddress(e.Host, e.Port); network == "unix" {
		return true
	}
	ip, err := netip.ParseAddr(e.Host)
	return e.Host == "localhost" || err == nil && ip.IsLoopback()
}

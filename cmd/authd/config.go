package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/session"
)

// Config is everything that can be set. A field is set by a flag (--access-ttl), the environment (AUTHD_ACCESS_TTL) or
// the configuration file (access_ttl), the first of these that names it. What a setting means, its unit and its default
// stand once, in bind, and are what `authd serve --help` prints.
type Config struct {
	ConnectionConfig
	ClusterConfig
	LimitConfig
	UsersConfig
	ExtAuthzConfig
	DPoPConfig
	StatusListConfig
	FactorsConfig
	OAuthConfig
	PagesConfig
	AuditConfig
	SSFConfig
	PasswordConfig
	ConsoleConfig
	TraceConfig

	Listen, AdminListen string
	Issuer              string
	InsecureIssuer      bool
	Audience            []string
	Data                string
	KEKFile             string
	RedisReplicas       int
	AdminTokenFile      string
	Clients             []string
	Scopes              []string
	TrustedProxies      []string

	Algorithm         string
	AccessTTL         time.Duration
	Leeway            time.Duration
	RotateEvery       time.Duration
	PublishAhead      time.Duration
	PublishAheadLeast time.Duration
	JWKSMaxAge        time.Duration
	JWKSOverstay      time.Duration
	ViewAge           time.Duration
	Skew              time.Duration
	MaxStaleness      time.Duration

	SessionIdle     time.Duration
	SessionAbsolute time.Duration
	RefreshGrace    time.Duration
	RefreshReplays  int

	HashPool       int
	MaxConnections int
	ShutdownDelay  time.Duration
	DrainTimeout   time.Duration
	LogLevel       string
	LogFormat      string
	Demo           bool

	reread func() (Config, error) // reads the settings again; nil where nobody can ask for it
	level  *slog.LevelVar         // of the log
}

// bind registers every setting as a flag with its default.
func (c *Config) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "address of the public API")
	fs.StringVar(&c.AdminListen, "admin-listen", "127.0.0.1:8081", "address of the admin API, metrics and health")
	fs.StringVar(&c.Issuer, "issuer", "", "URL under which clients reach the public API; the \"iss\" of tokens (default: from listen, on loopback only)")
	fs.BoolVar(&c.InsecureIssuer, "insecure-issuer", false, "accept an http issuer that is not on loopback: passwords cross the network in clear")
	fs.StringSliceVar(&c.Audience, "audience", []string{"authd"}, "the \"aud\" of access tokens")
	fs.StringVar(&c.Data, "data", defaultData(), "folder of the embedded store, the users and generated secrets")
	fs.IntVar(&c.RedisReplicas, "redis-replicas", 0, "Redis replicas that must have a logout before it is acknowledged; at least half of those there are")
	fs.StringVar(&c.KEKFile, "kek-file", "", "file of key-encryption keys, 32 bytes in base64 a line; the first seals, all open (default with the embedded ring: DATA/kek, made at the first start)")
	fs.StringVar(&c.AdminTokenFile, "admin-token-file", "", "file of the admin API's bearer token (default: DATA/admin-token, made at the first start)")
	fs.StringSliceVar(&c.Clients, "clients", nil, "OAuth clients that may introspect and revoke, each ID:SHA256 of its secret in hex; see authd client new")
	fs.StringSliceVar(&c.Scopes, "scopes", nil, "scopes that a login may ask for")
	fs.StringSliceVar(&c.TrustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-For is believed, in CIDR notation")

	fs.StringVar(&c.Algorithm, "algorithm", "ES256", "signature algorithm of new keys: ES256, EdDSA or RS256")
	fs.DurationVar(&c.AccessTTL, "access-ttl", 10*time.Minute, "life of an access token")
	fs.DurationVar(&c.Leeway, "leeway", 30*time.Second, "clock difference that verifiers allow, at most 30s")
	fs.DurationVar(&c.RotateEvery, "rotate-every", 30*24*time.Hour, "how long a key signs")
	fs.DurationVar(&c.PublishAhead, "publish-ahead", 0, "how long a key is published before it signs (default: 1h, less if rotate-every is short)")
	fs.DurationVar(&c.PublishAheadLeast, "publish-ahead-least", 0, "a key may sign this long after it was published if every verifier reports that it holds it; only if every verifier follows authd's HTTP feed, as standard JWKS clients never report (default: 0, publish-ahead always)")
	fs.DurationVar(&c.JWKSMaxAge, "jwks-max-age", 0, "how long verifiers may cache the JWKS (default: 10m, less if publish-ahead is short)")
	fs.DurationVar(&c.JWKSOverstay, "jwks-overstay", 0, "how much longer verifiers may use a cached JWKS (default: 5m, less if publish-ahead is short)")
	fs.DurationVar(&c.ViewAge, "view-age", 0, "oldest view of the key ring that still signs (default: 10m, less if publish-ahead is short)")
	fs.DurationVar(&c.Skew, "skew", 0, "largest difference between the clocks of authd's machines (default: 30s, less if publish-ahead is short)")
	fs.DurationVar(&c.MaxStaleness, "max-staleness", 5*time.Second, "revocation bound: a verifier that cannot prove to be this fresh answers 503")

	fs.DurationVar(&c.SessionIdle, "session-idle", 7*24*time.Hour, "a session unused for longer has ended")
	fs.DurationVar(&c.SessionAbsolute, "session-absolute", 30*24*time.Hour, "a session older than this has ended")
	fs.DurationVar(&c.RefreshGrace, "refresh-grace", 30*time.Second, "how long a refresh token may be retried; at most half of access-ttl")
	fs.IntVar(&c.RefreshReplays, "refresh-replays", 64, "how often a refresh token may be retried within the grace; once more ends the session")

	fs.IntVar(&c.HashPool, "hash-pool", 0, "passwords hashed at once, 19 MiB each; 0 chooses by the processors")
	fs.IntVar(&c.MaxConnections, "max-connections", 10000, "connections of the public listener at once")
	fs.DurationVar(&c.ShutdownDelay, "shutdown-delay", 0, "how long requests are still taken after SIGTERM, while /readyz says that none should come; longer than load balancers take to notice, and than they keep idle connections")
	fs.DurationVar(&c.DrainTimeout, "drain-timeout", 10*time.Second, "how long requests may finish after SIGTERM and shutdown-delay")
	fs.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&c.LogFormat, "log-format", "json", "json or text")
	fs.BoolVar(&c.Demo, "demo", false, "make a user and a client to try, with published passwords; on loopback only")

	c.ConnectionConfig.bind(fs)
	c.ClusterConfig.bind(fs)
	c.LimitConfig.bind(fs)
	c.UsersConfig.bind(fs)
	c.DPoPConfig.bind(fs)
	c.ExtAuthzConfig.bind(fs)
	c.StatusListConfig.bind(fs)
	c.FactorsConfig.bind(fs)
	c.OAuthConfig.bind(fs)
	c.PagesConfig.bind(fs)
	c.AuditConfig.bind(fs)
	c.SSFConfig.bind(fs)
	c.PasswordConfig.bind(fs)
	c.ConsoleConfig.bind(fs)
	c.TraceConfig.bind(fs)
}

// defaultData follows the XDG base directory specification, so that every command finds the same folder.
func defaultData() string {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "authd")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "authd-data"
	}
	return filepath.Join(home, ".local", "state", "authd")
}

// complete fills the settings whose defaults follow from others. The default issuer is known only once the listener is
// bound, as the port may be 0.
func (c *Config) complete() {
	c.StatusListConfig.complete(c.AccessTTL)
	c.AuditConfig.complete(c.Data)
	c.completeCluster()
	if c.KEKFile == "" && !c.shared() {
		c.KEKFile = filepath.Join(c.Data, kekFile)
	}
	if c.AdminTokenFile == "" {
		c.AdminTokenFile = filepath.Join(c.Data, "admin-token")
	}
}

// issuerAt is the issuer of an authd whose public API has the given address.
func (c *Config) issuerAt(listen string) string {
	if c.Issuer != "" {
		return c.Issuer
	}
	return "http://" + listen
}

// Validate reports every problem at once, each naming the setting to change.
func (c *Config) Validate() error {
	problems := []error{
		address("listen", c.Listen),
		address("admin-listen", c.AdminListen),
		require(c.Data != "", "data: required"),
		c.validateIssuer(),
		require(len(c.Audience) > 0 && !slices.Contains(c.Audience, ""),
			"audience: required; without it every token of this issuer would pass everywhere"),
		require(!slices.ContainsFunc(c.Scopes, func(s string) bool { return s == "" || strings.ContainsAny(s, " \"\\") }),
			"scopes %q: must have no space, quote or backslash (RFC 6749 section 3.3)", c.Scopes),
		oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error"),
		oneOf("log-format", c.LogFormat, "json", "text"),
		require(c.AccessTTL >= 2*time.Second && c.AccessTTL <= 24*time.Hour, "access-ttl %v: must be from 2s to 24h", c.AccessTTL),
		require(c.Leeway >= time.Second && c.Leeway <= 30*time.Second, "leeway %v: must be from 1s to 30s", c.Leeway),
		require(c.MaxStaleness >= 2*time.Second, "max-staleness %v: must be at least 2s, as proofs come every second", c.MaxStaleness),
		require(c.RefreshGrace > 0 && c.RefreshGrace <= c.AccessTTL/2, "refresh-grace %v: must be above 0 and at most half of access-ttl %v", c.RefreshGrace, c.AccessTTL),
		require(c.SessionIdle > c.AccessTTL, "session-idle %v: must exceed access-ttl %v", c.SessionIdle, c.AccessTTL),
		require(c.SessionAbsolute >= c.SessionIdle, "session-absolute %v: must not be below session-idle %v", c.SessionAbsolute, c.SessionIdle),
		require(c.RefreshReplays >= 1, "refresh-replays %d: must allow one, for a lost response", c.RefreshReplays),
		require(c.RedisReplicas >= 0, "redis-replicas %d: must not be negative", c.RedisReplicas),
		require(c.Redis != "" || c.RedisReplicas == 0, "redis: required with redis-replicas"),
		c.ConnectionConfig.validate(),
		c.validateUsers(),
		c.validateFactors(),
		c.validateCluster(),
		c.LimitConfig.validate(),
		c.ExtAuthzConfig.validate(),
		c.DPoPConfig.validate(),
		c.OAuthConfig.validate(c.Pages),
		c.PagesConfig.validate(),
		c.TraceConfig.validate(),
		require(c.HashPool >= 0, "hash-pool %d: must not be negative", c.HashPool),
		require(c.MaxConnections > 0, "max-connections %d: must be above 0", c.MaxConnections),
		require(c.ShutdownDelay >= 0, "shutdown-delay %v: must not be negative", c.ShutdownDelay),
		require(c.DrainTimeout > 0, "drain-timeout %v: must be above 0", c.DrainTimeout),
		require(!c.Demo || loopback(c.Listen) && loopback(c.AdminListen), "demo: listen and admin-listen must be on loopback, as its passwords are published"),
	}
	problems = append(problems, c.StatusListConfig.validate(c.AccessTTL)...)
	problems = append(problems, c.AuditConfig.validate()...)
	problems = append(problems, c.SSFConfig.validate(c.Redis)...)
	_, err := c.oauthClients()
	problems = append(problems, err)
	_, err = c.trustedProxies()
	problems = append(problems, err)
	return errors.Join(append(problems, c.keyPolicy().Validate())...)
}

func (c *Config) validateIssuer() error {
	if c.Issuer == "" {
		return require(loopback(c.Listen), "issuer: required, as listen %q is not on loopback", c.Listen)
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("issuer %q: must be an http or https URL", c.Issuer)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("issuer %q: must have no query, fragment or user (RFC 8414 section 2)", c.Issuer)
	case u.Path != "":
		return fmt.Errorf("issuer %q: must have no path, also no final slash", c.Issuer)
	case u.Scheme == "http" && !c.InsecureIssuer && !loopbackHost(u.Hostname()):
		return fmt.Errorf("issuer %q: must be https, as it is not on loopback (or set insecure-issuer)", c.Issuer)
	}
	return nil
}

// sessionLimits are the limits of sessions that the settings describe.
func (c *Config) sessionLimits() session.Limits {
	return session.Limits{
		Idle: c.SessionIdle, Absolute: c.SessionAbsolute, Grace: c.RefreshGrace, MaxReplays: c.RefreshReplays,
	}
}

// keyPolicy is the life of signing keys that the settings describe.
func (c *Config) keyPolicy() keys.Policy {
	return keys.Policy{
		Algorithm:         c.Algorithm,
		RotateEvery:       c.RotateEvery,
		PublishAhead:      c.PublishAhead,
		PublishAheadLeast: c.PublishAheadLeast,
		JWKSMaxAge:        c.JWKSMaxAge,
		JWKSOverstay:      c.JWKSOverstay,
		ViewAge:           c.ViewAge,
		Skew:              c.Skew,
		TokenLife:         c.AccessTTL,
		Leeway:            c.Leeway,
		SessionIdle:       c.SessionIdle,
	}.WithDefaults()
}

func (c *Config) trustedProxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	var problems []error
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("trusted-proxies %q: want a network such as 10.0.0.0/8", s))
			continue
		}
		networks = append(networks, p.Masked())
	}
	return networks, errors.Join(problems...)
}

func require(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func oneOf(name, value string, allowed ...string) error {
	return require(slices.Contains(allowed, value), "%s %q: must be one of %q", name, value, allowed)
}

func address(name, value string) error {
	_, _, err := net.SplitHostPort(value)
	return require(err == nil, "%s %q: want HOST:PORT", name, value)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

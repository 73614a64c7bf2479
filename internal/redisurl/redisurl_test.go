package redisurl_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisurl"
	"github.com/authd-project/authd/internal/testenv"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]redis.UniversalOptions{
		"redis://localhost":                 {Addrs: []string{"localhost:6379"}},
		"redis://u:p%40ss@h:1234/3":         {Addrs: []string{"h:1234"}, Username: "u", Password: "p@ss", DB: 3},
		"redis://:p@h":                      {Addrs: []string{"h:6379"}, Password: "p"},
		"redis://[::1]:7000,[::2],c":        {Addrs: []string{"[::1]:7000", "[::2]:6379", "c:6379"}, IsClusterMode: true},
		"redis-cluster://c?pool_size=5":     {Addrs: []string{"c:6379"}, IsClusterMode: true, PoolSize: 5},
		"redis://h?dial_timeout=2s":         {Addrs: []string{"h:6379"}, DialTimeout: 2 * time.Second},
		"redis-sentinel://a,b:7/2?master=m": {Addrs: []string{"a:26379", "b:7"}, MasterName: "m", DB: 2},
		"redis-sentinel://u:p@a?master=m&sentinel_username=su&sentinel_password=sp": {
			Addrs: []string{"a:26379"}, MasterName: "m", Username: "u", Password: "p",
			SentinelUsername: "su", SentinelPassword: "sp",
		},
	} {
		o, err := redisurl.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !slices.Equal(o.Addrs, want.Addrs) || o.Username != want.Username || o.Password != want.Password ||
			o.DB != want.DB || o.IsClusterMode != want.IsClusterMode || o.MasterName != want.MasterName ||
			o.SentinelUsername != want.SentinelUsername || o.SentinelPassword != want.SentinelPassword ||
			o.PoolSize != want.PoolSize || o.DialTimeout != want.DialTimeout {
			t.Errorf("%s:\n got %+v\nwant %+v", text, *o, want)
		}
		if !o.ContextTimeoutEnabled || o.TLSConfig != nil {
			t.Errorf("%s: contexts %v, TLS %v", text, o.ContextTimeoutEnabled, o.TLSConfig)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "begins with redis://",
		"localhost:6379":                  "begins with redis://",
		"http://h":                        "begins with redis://",
		"redis://":                        "host: required",
		"redis://h:0":                     "port",
		"redis://::1":                     "brackets",
		"redis://a,b/1":                   "cluster has no database",
		"redis://h/x":                     "number of a database",
		"redis-sentinel://h":              "master: required",
		"redis://h?master=m":              `unknown parameter "master"`,
		"redis://h?tls_ca=x":              `unknown parameter "tls_ca"`,
		"rediss://h?tls_ca=/nonexistent":  "tls_ca",
		"rediss://h?tls_cert=x":           "both or neither",
		"redis://h?pool_size=0":           "pool_size",
		"redis://h?pool_size=1&pool_size": "given twice",
		"redis://h?dial_timeout=5":        "dial_timeout",
		"redis://u:s%zzcret@h":            "percent-encoded",
		"redis://u:secret@h/x?y=1#z":      "fragment",
		"redis://u:secret@h/x?y=1":        "number of a database",
	} {
		_, err := redisurl.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", text, err, want)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "zzcret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	addr := testenv.Redis(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	plain := open(t, "redis://"+addr)
	if err := plain.Do(t.Context(), "CONFIG", "SET", "port", 0, "tls-port", port).Err(); err != nil {
		t.Fatal(err)
	}
	files := "&tls_cert=" + cert + "&tls_key=" + key
	for text, ok := range map[string]bool{
		"rediss://" + addr + "?tls_ca=" + cert + files: true,
		"rediss://" + addr + "?tls_ca=" + cert:         false, // the server wants a certificate too
		"rediss://" + addr + "?pool_size=1" + files:    false, // the system does not know its authority
		"redis://" + addr:                              false,
	} {
		err := open(t, text).Do(t.Context(), "CLIENT", "ID").Err()
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func open(t *testing.T, text string) redis.UniversalClient {
	t.Helper()
	client, err := redisurl.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// certificate makes a self-signed certificate for 127.0.0.1 and returns its files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, "CERTIFICATE", der), pemFile(t, "PRIVATE KEY", keyDER)
}

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/zap"
)

const (
	etcdDial = 5 * time.Second // to connect and log in, at the start
	// A member of etcd that hangs is noticed after both together; see package etcdlock.
	etcdPing   = 10 * time.Second
	etcdAnswer = 2 * time.Second
)

// etcd returns the client of the election and of the key ring.
func (c *connections) etcd() (*clientv3.Client, error) {
	if c.etcdShared != nil {
		return c.etcdShared, nil
	}
	config := clientv3.Config{
		Endpoints: c.cfg.Etcd, Username: c.cfg.EtcdUsername, Logger: zap.NewNop(), // what matters comes as an error
		DialTimeout: etcdDial, DialKeepAliveTime: etcdPing, DialKeepAliveTimeout: etcdAnswer,
	}
	var err error
	if name := c.cfg.EtcdPasswordFile; name != "" {
		if config.Password, err = readOrMakeSecret(name, false); err != nil {
			return nil, fmt.Errorf("etcd-password-file: %w", err)
		}
	}
	if config.TLS, err = c.etcdTLS(); err != nil {
		return nil, err
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	if p := c.cfg.EtcdPrefix; p != "" {
		client.KV, client.Watcher, client.Lease =
			namespace.NewKV(client.KV, p), namespace.NewWatcher(client.Watcher, p), namespace.NewLease(client.Lease, p)
	}
	c.etcdShared = client
	c.closers = append(c.closers, client.Close)
	return client, nil
}

// etcdTLS is used for members whose URL is https.
func (c *connections) etcdTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := c.cfg.EtcdCA; name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("etcd-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("etcd-ca: no certificate in " + name)
		}
	}
	if c.cfg.EtcdCert != "" {
		var err error
		if config.GetClientCertificate, err = c.openClientCertificate(); err != nil {
			return nil, err
		}
	}
	return config, nil
}

package main

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

// What is revoked on other axes, however strangely named, takes no key out of service.
func TestRevokedKeys(t *testing.T) {
	mirror := revocation.NewMirror(revocation.MirrorConfig{})
	keys := newRevokedKeys(mirror)
	if keys.Revoked("k") {
		t.Error("a key is revoked before anything is")
	}
	now := time.Now()
	for kind := revocation.Token; kind <= revocation.Everything; kind++ {
		e := revocation.Entry{Kind: kind, Expires: now.Add(time.Hour).Unix()}
		if kind >= revocation.Subject && kind != revocation.Key {
			e.NotBefore = now.Add(time.Minute).Unix()
		}
		if kind == revocation.Key {
			e.ID = revocation.IDOf(kind, "other")
		}
		mirror.Merge(e)
	}
	if keys.Revoked("k") || keys.Revoked(rand.Text()) {
		t.Error("a key is revoked by what revokes others")
	}
	if !keys.Revoked("other") {
		t.Error("a revoked key is not")
	}
	mirror.Merge(revocation.Entry{Kind: revocation.Key, ID: revocation.IDOf(revocation.Key, "k"), Expires: now.Add(time.Hour).Unix()})
	if !keys.Revoked("k") {
		t.Error("a revoked key is not, among others")
	}
}

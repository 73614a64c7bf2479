package keys_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
)

// A set that has outlived its max-age, as the issuer does not answer, says nothing about a kid that it lacks: the issuer
// may have begun to sign with it.
func TestRemoteSetOutlivedRulesOutNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("1", "a"))
		r := issuer.follow(t, keys.RemoteConfig{})
		wantVerdict(t, r, "b", "unknown")
		issuer.now(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		time.Sleep(2 * time.Second)
		wantVerdict(t, r, "b", "unavailable")
		wantVerdict(t, r, "a", "known")
		issuer.now(publish("1", "a", "b"))
		time.Sleep(5 * time.Second)
		wantVerdict(t, r, "b", "known")
	})
}

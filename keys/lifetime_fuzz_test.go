package keys

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever an issuer, or a cache before it, says of how long its keys are fresh, it is no longer than a day.
func FuzzLifetime(f *testing.F) {
	f.Add("max-age=600", "10")
	f.Add("public, max-age=\"60\", MAX-AGE=5", "")
	f.Add("no-store\nmax-age=4294967296", "-1")
	f.Add("max-age=1e9, s-maxage=3,=", "99999999999999999999")
	f.Fuzz(func(t *testing.T, cacheControl, age string) {
		h := http.Header{"Cache-Control": strings.Split(cacheControl, "\n"), "Age": {age}}
		if d := lifetime(h); d < 0 || d > 24*time.Hour {
			t.Errorf("%q, %q: %v", cacheControl, age, d)
		}
	})
}

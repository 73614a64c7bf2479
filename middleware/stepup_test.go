package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

const stepUp = bare + `, error="insufficient_user_authentication", error_description="This needs a login that is more recent or of another kind."`

// What is refused for its login is told all that the route wants, so that one more login is enough.
func TestStepUpChallenge(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	raw := issuer.Mint(token.Claims{AuthTime: time.Now().Add(-time.Hour), Scope: "orders:read"})
	for name, c := range map[string]struct {
		opts []middleware.Option
		want string
	}{
		"acr":             {[]middleware.Option{middleware.ACR("gold", "silver")}, stepUp + `, acr_values="gold silver"`},
		"max age":         {[]middleware.Option{middleware.MaxAge(90 * time.Second)}, stepUp + `, max_age="90"`},
		"both":            {[]middleware.Option{middleware.MaxAge(time.Hour - time.Minute), middleware.ACR("gold")}, stepUp + `, acr_values="gold", max_age="3540"`},
		"now":             {[]middleware.Option{middleware.MaxAge(0)}, stepUp + `, max_age="0"`},
		"less than now":   {[]middleware.Option{middleware.MaxAge(-time.Hour)}, stepUp + `, max_age="0"`},
		"rounded":         {[]middleware.Option{middleware.MaxAge(1999 * time.Millisecond)}, stepUp + `, max_age="1"`},
		"the last counts": {[]middleware.Option{middleware.ACR("gold"), middleware.ACR("iron"), middleware.MaxAge(time.Second), middleware.MaxAge(time.Minute)}, stepUp + `, acr_values="iron", max_age="60"`},
		"nobody":          {[]middleware.Option{middleware.ACR()}, stepUp},
		"quoted":          {[]middleware.Option{middleware.ACR("a\"b\r\n")}, stepUp + `, acr_values="a\"b"`},
		"scope first": {[]middleware.Option{middleware.MaxAge(0), middleware.Scopes("orders:write")},
			bare + `, error="insufficient_scope", scope="orders:write"`},
	} {
		w := ask(guard, []string{"Bearer " + raw}, c.opts...)
		if have := w.Header().Get("WWW-Authenticate"); have != c.want {
			t.Errorf("%s: have %s, want %s", name, have, c.want)
		}
		checkProblem(t, w)
		if name != "scope first" && !strings.Contains(w.Body.String(), `"code":"insufficient_user_authentication"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestStepUpEdges(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{Leeway: 10 * time.Second, Now: func() time.Time { return now }})
	login := func(ago time.Duration) string {
		return issuer.MintAt(now, token.Claims{AuthTime: now.Add(-ago)})
	}
	weak := issuer.MintAt(now, token.Claims{})
	gold := issuer.MintAt(now, token.Claims{ACR: "gold"})
	minute := middleware.MaxAge(time.Minute)
	for name, c := range map[string]struct {
		raw  string
		opt  middleware.Option
		want int
	}{
		"as old as may be, by clocks apart": {login(70 * time.Second), minute, 200},
		"a second older":                    {login(71 * time.Second), minute, 401},
		"this moment":                       {login(0), middleware.MaxAge(0), 200},
		"by a clock ahead":                  {login(-10 * time.Second), minute, 200},
		"in the future":                     {login(-11 * time.Second), minute, 401},
		"at no time":                        {issuer.MintAt(now, token.Claims{AuthTime: middlewaretest.NoAuthTime()}), minute, 401},
		"at no time, of all times":          {issuer.MintAt(now, token.Claims{AuthTime: middlewaretest.NoAuthTime()}), middleware.MaxAge(1<<63 - 1), 401},
		"for ever":                          {login(1000 * time.Hour), middleware.MaxAge(1<<63 - 1), 200},
		"the acr":                           {gold, middleware.ACR("iron", "gold"), 200},
		"part of it":                        {gold, middleware.ACR("gol"), 401},
		"all values in one":                 {gold, middleware.ACR("iron gold"), 401},
		"no acr":                            {weak, middleware.ACR("gold"), 401},
		"no acr and an empty one":           {weak, middleware.ACR(""), 401},
		"nobody":                            {gold, middleware.ACR(), 401},
	} {
		if status := statusOf(guard, c.raw, c.opt); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	if status := statusOf(guard, weak); status != http.StatusOK {
		t.Errorf("a route that wants no login: %d", status)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
	"golang.org/x/time/rate"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// tried is a JWKS client that is tried against hostile issuers.
type tried struct {
	name, module string
	setUp        string // how it is set up here, and from where that is
	design       string // what it does on purpose, and what it would do by default
	start        hostileissuer.Start
}

// allTried are told the times of the kit wherever they can be told one. Each sends its requests with an http.Client whose
// timeout is the kit's for one fetch.
var allTried = []tried{
	{
		"authd", "github.com/authd-project/authd",
		"`keys.Remote` under `token.Verifier`, with all settings of the kit.",
		"By default: a refresh as max-age says, every 10 min at least; a fetch for unknown keys in 5 s at most; a hard maximum age of 1 h.",
		startAuthd,
	},
	{
		"keyfunc", "github.com/MicahParks/keyfunc/v3",
		"`NewDefaultOverrideCtx` under golang-jwt's parser; `RefreshInterval`, `HTTPTimeout`, and a limiter `RefreshUnknownKID` of one " +
			"fetch in the kit's time with `RateLimitWaitMax`.",
		"By default it refreshes every hour, and fetches for an unknown key once in 5 min, for which up to a minute is waited. " +
			"It does not look at Cache-Control, and trusts its keys for as long as refreshes fail. Built by `New`, it can be told " +
			"which `use` a key must have (`UseWhitelist`).",
		startKeyfunc,
	},
	{
		"jwx", "github.com/lestrrat-go/jwx/v3",
		"`jwk.Cache` and `CachedSet` as in its documentation, with `WithMinInterval` and `WithMaxInterval` of the kit's refresh, " +
			"and `WrapHTTPClientDefaults`.",
		"Fetches nothing for an unknown key: a caller who wants that calls `Refresh`. By default between 15 min and 30 days pass " +
			"between refreshes. Its documentation advises against the cache for issuers that are down often. A set with a bad key is " +
			"refused as a whole; `WithIgnoreParseError` changes that, and its documentation advises against it. A key of the set " +
			"is used by its own alg, a symmetric one too.",
		startJWX,
	},
	{
		"go-oidc", "github.com/coreos/go-oidc/v3",
		"`NewRemoteKeySet` under `NewVerifier`, the client given by `ClientContext`.",
		"Has none of the kit's settings. It fetches when a signature does not verify with the keys it has, and at no other time: " +
			"the way that OpenID Connect Core section 10.1.1 describes.",
		startGoOIDC,
	},
	{
		"go-jose", "github.com/go-jose/go-jose/v4",
		"go-jose has no JWKS client. This is the one that is often written around it: a set behind a mutex, fetched again when it " +
			"is older than the kit's refresh or lacks the key, decoded by `json.Decoder`.",
		"All that is judged here is that sketch, except for the parsing of sets and tokens.",
		startGoJose,
	},
	{
		"go-jwt-middleware", "github.com/auth0/go-jwt-middleware/v3",
		"`jwks.NewCachingProvider` with `WithCacheTTL` of the kit's refresh, under `validator.New`.",
		"A set lives for max-age, up to 7 days, or else for the TTL (by default 15 min), and is refreshed at 80 % of that; when it is over, " +
			"requests wait for the next, and fail with it: an outage counts from then on. Fetches nothing for an unknown key.",
		startAuth0,
	},
}

// verifies makes a Verifier of a function.
type verifies func(ctx context.Context, raw string) error

func (f verifies) Verify(ctx context.Context, raw string) error { return f(ctx, raw) }

func timed(s hostileissuer.Settings) *http.Client {
	client := *s.Client
	client.Timeout = s.FetchTimeout
	return &client
}

func startAuthd(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	remote, err := keys.NewRemote(keys.RemoteConfig{
		URL: s.JWKSURL, Client: s.Client, MaxAge: s.MaxAge, MaxRefresh: s.Refresh, RefetchAfter: s.Refetch,
		FetchTimeout: s.FetchTimeout, Wait: s.Wait,
	})
	if err != nil {
		return nil, err
	}
	v, err := token.NewVerifier(token.VerifierConfig{
		Issuer: s.Issuer, Audience: []string{s.Audience}, Algorithms: []string{s.Algorithm}, Keys: remote, Revocations: nobodyLoggedOut{},
	})
	if err != nil {
		return nil, err
	}
	return authdTried{v, background(ctx, remote.Run)}, nil
}

type authdTried struct {
	*token.Verifier
	stop func() error
}

func (a authdTried) Verify(ctx context.Context, raw string) error {
	_, err := a.Verifier.Verify(ctx, raw)
	return err
}

func (a authdTried) Close() error { return a.stop() }

type nobodyLoggedOut struct{}

func (nobodyLoggedOut) Check(context.Context, revocation.Claims) error { return nil }

func startKeyfunc(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	k, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{s.JWKSURL}, keyfunc.Override{
		Client: timed(s), HTTPTimeout: s.FetchTimeout, RefreshInterval: s.Refresh,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(s.Refetch), 1), RateLimitWaitMax: s.Wait,
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) { return func(context.Context, error) {} },
	})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{s.Algorithm}), jwt.WithIssuer(s.Issuer), jwt.WithAudience(s.Audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway))
	return verifies(func(ctx context.Context, raw string) error {
		_, err := parser.ParseWithClaims(raw, &jwt.RegisteredClaims{}, k.KeyfuncCtx(ctx))
		return err
	}), nil
}

func startJWX(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	if err := cache.Register(ctx, s.JWKSURL, jwk.WithHTTPClient(jwk.WrapHTTPClientDefaults(timed(s))),
		jwk.WithMinInterval(s.Refresh), jwk.WithMaxInterval(s.Refresh)); err != nil {
		return nil, errors.Join(err, cache.Shutdown(ctx))
	}
	set, err := cache.CachedSet(s.JWKSURL)
	if err != nil {
		return nil, err
	}
	return verifies(func(_ context.Context, raw string) error {
		_, err := jwxjwt.ParseString(raw, jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(s.Issuer), jwxjwt.WithAudience(s.Audience),
			jwxjwt.WithAcceptableSkew(leeway))
		return err
	}), nil
}

func startGoOIDC(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	set := oidc.NewRemoteKeySet(oidc.ClientContext(ctx, timed(s)), s.JWKSURL)
	verifier := oidc.NewVerifier(s.Issuer, set, &oidc.Config{ClientID: s.Audience, SupportedSigningAlgs: []string{s.Algorithm}})
	return verifies(func(ctx context.Context, raw string) error {
		_, err := verifier.Verify(ctx, raw)
		return err
	}), nil
}

func startGoJose(_ context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	set := &plainSet{client: timed(s), url: s.JWKSURL, life: s.Refresh}
	want := josejwt.Expected{Issuer: s.Issuer, AnyAudience: josejwt.Audience{s.Audience}}
	return verifies(func(ctx context.Context, raw string) error {
		t, err := josejwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.Algorithm)})
		if err != nil {
			return err
		}
		key, err := set.key(ctx, t.Headers[0].KeyID)
		if err != nil {
			return err
		}
		var claims josejwt.Claims
		if err := t.Claims(key, &claims); err != nil {
			return err
		}
		return claims.ValidateWithLeeway(want.WithTime(time.Now()), leeway)
	}), nil
}

// plainSet is the JWKS client that is often written around go-jose.
type plainSet struct {
	client *http.Client
	url    string
	life   time.Duration

	mu  sync.Mutex
	set jose.JSONWebKeySet
	got time.Time
}

func (p *plainSet) key(ctx context.Context, kid string) (*jose.JSONWebKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.set.Key(kid); len(found) > 0 && time.Since(p.got) < p.life {
		return &found[0], nil
	}
	if err := p.fetch(ctx); err != nil {
		return nil, err
	}
	if found := p.set.Key(kid); len(found) > 0 {
		return &found[0], nil
	}
	return nil, errors.New("unknown key")
}

func (p *plainSet) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return err
	}
	p.set, p.got = set, time.Now()
	return nil
}

func startAuth0(_ context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	issuerURL, err := url.Parse(s.Issuer)
	if err != nil {
		return nil, err
	}
	jwksURL, err := url.Parse(s.JWKSURL)
	if err != nil {
		return nil, err
	}
	provider, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuerURL), jwks.WithCustomJWKSURI(jwksURL),
		jwks.WithCacheTTL(s.Refresh), jwks.WithCustomClient(timed(s)))
	if err != nil {
		return nil, err
	}
	v, err := validator.New(validator.WithKeyFunc(provider.KeyFunc), validator.WithAlgorithm(validator.SignatureAlgorithm(s.Algorithm)),
		validator.WithIssuer(s.Issuer), validator.WithAudience(s.Audience), validator.WithAllowedClockSkew(leeway))
	if err != nil {
		return nil, err
	}
	return verifies(func(ctx context.Context, raw string) error {
		_, err := v.ValidateToken(ctx, raw)
		return err
	}), nil
}

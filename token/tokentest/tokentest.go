package tokentest

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Target is what is attacked: a token that the verifier accepts, and the key of its issuer.
type Target struct {
	// Good is the token, in the JWS compact form. All cases derive from it, its dates from its iat: they stay hostile for
	// as long as Good is accepted, and for a day if nobody else looks at the clock. Required.
	Good string
	// Key signed it: ECDSA on P-256, Ed25519 or RSA. Required.
	Key crypto.Signer
	// Canary is where the URLs in tokens lead, as in "http://127.0.0.1:8099": see [Canary]. By default to a name that no
	// resolver knows.
	Canary string
	// Cookie is the name of the cookie in which the verifier takes tokens, if it takes any in cookies.
	Cookie string
	// Seed chooses the forger's keys and made-up names.
	Seed uint64
}

// Case is one hostile token, or one hostile request around a good token.
type Case struct {
	// Name says what was changed, group first: "alg-none/nOnE/unsigned". No two cases have one name.
	Name string
	// RFC is where it is said that a verifier must, or may, refuse this.
	RFC string
	// Token is the hostile token; empty where the request is hostile. It may hold any byte, line breaks too.
	Token string
	// Want is the error of package token that authd's own verifier answers. It is token.ErrInvalid where which of them
	// does not matter, and nil for requests.
	Want error
	// Request is what carries the token.
	Request Request

	good string // the token that it derives from
}

// Request is what a case sends along. The names of header fields are canonical, their values may hold any byte.
type Request struct {
	Header      http.Header
	Query       string // raw
	ContentType string
	Body        string
}

// Apply makes r the hostile request: it sets header fields, the query and the body.
func (c Case) Apply(r *http.Request) {
	for name, values := range c.Request.Header {
		r.Header[name] = values
	}
	if c.Request.Query != "" {
		r.URL.RawQuery = c.Request.Query
	}
	if body := c.Request.Body; body != "" {
		r.Header.Set("Content-Type", c.Request.ContentType)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
}

// Cases returns all cases for t: more than a thousand.
func Cases(t Target) ([]Case, error) {
	c, err := newCorpus(t)
	if err != nil {
		return nil, fmt.Errorf("hostile tokens: %w", err)
	}
	for _, generate := range []func(){
		c.none, c.algorithms, c.hmac, c.foreignKeys,
		c.signatures, c.signedOtherwise, c.curveSignatures, c.edwardsSignatures, c.rsaSignatures, c.tampered,
		c.keyIDs, c.broughtKeys, c.extensions, c.types,
		c.duplicates, c.foldedNames, c.missing, c.wrongTypes, c.dates, c.expired, c.future, c.lives,
		c.strings, c.issuers, c.audiences, c.bound,
		c.syntax, c.unicode, c.numbers, c.nesting, c.sizes,
		c.alphabet, c.lineBreaks, c.parts, c.encrypted, c.jsonForms, c.otherTokens,
		c.schemes, c.severalHeaders, c.otherHeaders, c.parameters, c.cookies,
	} {
		generate()
	}
	slices.SortFunc(c.cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return c.cases, c.err
}

// corpus makes the cases.
type corpus struct {
	Target
	header, claims          object // of the good token
	headPart, bodyPart, sig string // its three parts
	signature               []byte // the third, decoded
	alg, kid                string
	iat                     int64
	forger                  forger // somebody else's keys

	group, rfc string // of the cases to come
	cases      []Case
	seen       map[string]bool // tokens and requests so far, and the good token
	err        error
}

var base64url = base64.RawURLEncoding

func encode(text string) string { return base64url.EncodeToString([]byte(text)) }

func newCorpus(t Target) (*corpus, error) {
	c := &corpus{Target: t, seen: map[string]bool{t.Good: true}}
	if c.Canary == "" {
		c.Canary = "http://canary.invalid"
	}
	if t.Key == nil {
		return nil, errors.New("a key is required")
	}
	parts := strings.Split(t.Good, ".")
	if len(parts) != 3 {
		return nil, errors.New("the good token is not in the JWS compact form")
	}
	c.headPart, c.bodyPart, c.sig = parts[0], parts[1], parts[2]
	var err error
	if c.header, err = decodeObject(c.headPart); err != nil {
		return nil, fmt.Errorf("the good token's header: %w", err)
	}
	if c.claims, err = decodeObject(c.bodyPart); err != nil {
		return nil, fmt.Errorf("the good token's claims: %w", err)
	}
	if c.signature, err = base64url.DecodeString(c.sig); err != nil {
		return nil, fmt.Errorf("the good token's signature: %w", err)
	}
	if err := c.readMembers(); err != nil {
		return nil, fmt.Errorf("the good token: %w", err)
	}
	if alg := algorithmOf(t.Key.Public()); alg == "" || alg != c.alg {
		return nil, fmt.Errorf("the key is not for %q", c.alg)
	}
	if c.forger, err = newForger(t.Seed); err != nil {
		return nil, err
	}
	return c, nil
}

func decodeObject(part string) (object, error) {
	text, err := base64url.DecodeString(part)
	if err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	return parseObject(text)
}

// readMembers reads what cases are made from.
func (c *corpus) readMembers() error {
	for _, m := range []struct {
		in   object
		name string
		into any
	}{{c.header, "alg", &c.alg}, {c.header, "kid", &c.kid}, {c.claims, "iat", &c.iat}} {
		if err := json.Unmarshal([]byte(m.in.get(m.name)), m.into); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// about begins a group of cases.
func (c *corpus) about(group, rfc string) { c.group, c.rfc = group, rfc }

// add appends a case that is a token, unless it is one that is there already: what differs with one good token may come out
// alike with another. It is sent as RFC 6750 section 2.1 says.
func (c *corpus) add(name, raw string, want error) {
	if c.seen[raw] {
		return
	}
	c.seen[raw] = true
	c.cases = append(c.cases, Case{
		Name: c.group + "/" + name, RFC: c.rfc, Token: raw, Want: want, good: c.Good,
		Request: Request{Header: http.Header{"Authorization": {"Bearer " + raw}}},
	})
}

// ask appends a case that is a request, under the same rule.
func (c *corpus) ask(name string, r Request) {
	text := fmt.Sprintf("%q", r)
	if c.seen[text] {
		return
	}
	c.seen[text] = true
	c.cases = append(c.cases, Case{Name: c.group + "/" + name, RFC: c.rfc, Request: r})
}

// says appends a case whose header or claims were changed, signed with the real key.
func (c *corpus) says(name string, header, claims fmt.Stringer, want error) {
	c.add(name, c.signed(header, claims), want)
}

// canaryURL is a URL at the canary.
func (c *corpus) canaryURL(path string) string { return c.Canary + path }

// canaryHost is its host and port.
func (c *corpus) canaryHost() string {
	if u, err := url.Parse(c.Canary); err == nil && u.Host != "" {
		return u.Host
	}
	return "canary.invalid"
}

// text is any text where an object is expected.
type text string

func (t text) String() string { return string(t) }

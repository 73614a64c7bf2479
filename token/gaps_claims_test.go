package token_test

import (
	"context"
	"crypto"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// claimsCase is a claims set to refuse, and how golang-jwt is called to accept it: nil where it refuses it as well.
type claimsCase struct {
	claims object
	peer   jwt.Claims
}

func refuseClaims(t *testing.T, want error, cases map[string]claimsCase) {
	t.Helper()
	k := newKey(t, "ES256")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, goodHeader(k), c.claims)
			refuse(t, k, raw, want)
			if c.peer != nil {
				peerAccepts(t, k, raw, c.peer)
			}
		})
	}
}

// asStruct and asMap are golang-jwt's two ways of holding claims; each has gaps of its own.
func asStruct() jwt.Claims { return &jwt.RegisteredClaims{} }
func asMap() jwt.Claims    { return jwt.MapClaims{} }

// RFC 7519 section 4: claim names are case-sensitive. encoding/json folds them for the fields of a struct.
func TestG03LookAlikesAreRefused(t *testing.T) {
	past, future := seconds(-time.Hour), seconds(10*time.Minute)
	cases := map[string]claimsCase{
		"Exp overrides exp":  {goodClaims().with("exp", past).and("Exp", future), asStruct()},
		"EXP for exp":        {goodClaims().rename("exp", "EXP"), asStruct()},
		"Aud for aud":        {goodClaims().rename("aud", "Aud"), asStruct()},
		"Iss for iss":        {goodClaims().rename("iss", "Iss"), asStruct()},
		"iſs for iss":        {goodClaims().rename("iss", "iſs"), asStruct()},
		"ſub beside sub":     {goodClaims().and("ſub", `"mallory"`), asStruct()},
		"Jti beside jti":     {goodClaims().and("Jti", `"other"`), asStruct()},
		"escaped look-alike": {goodClaims().and(`\u0045xp`, future), asStruct()},
		"Client_ID":          {goodClaims().and("Client_ID", `"other"`), asStruct()},
		"Cnf":                {goodClaims().and("Cnf", `{}`), asStruct()},
	}
	refuseClaims(t, token.ErrMalformed, cases)

	k := newKey(t, "ES256")
	for _, name := range []string{"Alg", "KID", "Typ", "Crit", "\u212aid"} {
		t.Run("header "+name, func(t *testing.T) {
			refuse(t, k, k.sign(t, goodHeader(k).and(name, `"x"`), goodClaims()), token.ErrMalformed)
		})
	}
}

// RFC 7519 section 2: a NumericDate is a JSON number.
func TestG04DatesAreNumbers(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"exp as string":     {goodClaims().with("exp", `"99999999999"`), asStruct()},
		"exp as 1e12":       {goodClaims().with("exp", `"1e12"`), asStruct()},
		"nbf as string":     {goodClaims().and("nbf", quote(seconds(0))), asStruct()},
		"iat as string":     {goodClaims().with("iat", quote(seconds(0))), asStruct()},
		"exp is null":       {goodClaims().with("exp", `null`), nil},
		"exp is an array":   {goodClaims().with("exp", `[9999999999]`), nil},
		"auth_time is true": {goodClaims().and("auth_time", `true`), asStruct()},
	})
}

// RFC 7519 section 4.1.5. A date that does not fit an int64 becomes one long past, on some processors.
func TestG05DatesAreBounded(t *testing.T) {
	var folded jwt.Claims // golang-jwt's result depends on how the processor converts
	if runtime.GOARCH == "amd64" {
		folded = asMap()
	}
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"nbf of 2^63":               {goodClaims().and("nbf", `9223372036854775808`), folded},
		"nbf of 1e19":               {goodClaims().and("nbf", `1e19`), folded},
		"nbf of 1e300":              {goodClaims().and("nbf", `1e300`), folded},
		"iat of 1e300":              {goodClaims().with("iat", `1e300`), folded},
		"exp of 1e400":              {goodClaims().with("exp", `1e400`), nil},
		"exp in year 10000":         {goodClaims().with("exp", `253402300800`), asMap()},
		"half a second before 1970": {goodClaims().and("auth_time", `-0.5`), asMap()},
		"half a second after 9999":  {goodClaims().and("auth_time", `253402300799.5`), asMap()},
		"negative iat":              {goodClaims().with("iat", `-1`), asMap()},
	})
}

// There is no option for it: a token that lives for years cannot be revoked by sets that forget.
func TestG06LifeIsCapped(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"ten years":      {goodClaims().with("exp", seconds(10*365*24*time.Hour)), asMap()},
		"a second more":  {goodClaims().with("exp", seconds(token.DefaultMaxLife+time.Second)), asMap()},
		"milliseconds":   {goodClaims().with("exp", seconds(0)+"000"), asMap()},
		"iat of 1970":    {goodClaims().with("iat", `0`), asMap()},
		"exp before iat": {goodClaims().with("exp", seconds(5*time.Second)).with("iat", seconds(9*time.Second)), asMap()},
	})
	k := newKey(t, "ES256")
	raw := k.sign(t, goodHeader(k), goodClaims().with("exp", seconds(token.DefaultMaxLife)))
	if _, err := newVerifier(t, k).Verify(t.Context(), raw); err != nil {
		t.Errorf("exactly the longest life: %v", err)
	}
}

// RFC 9068 section 2.2. A token without a jti that is a string would escape its revocation.
func TestG07RequiredClaims(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"no sub":            {goodClaims().without("sub"), asMap()},
		"no jti":            {goodClaims().without("jti"), asMap()},
		"no iat":            {goodClaims().without("iat"), asMap()},
		"no client_id":      {goodClaims().without("client_id"), asMap()},
		"no exp":            {goodClaims().without("exp"), nil},
		"no iss":            {goodClaims().without("iss"), nil},
		"no aud":            {goodClaims().without("aud"), nil},
		"aud is empty":      {goodClaims().with("aud", `[]`), nil},
		"jti in an array":   {goodClaims().with("jti", `["x"]`), asMap()},
		"jti is empty":      {goodClaims().with("jti", `""`), asMap()},
		"jti is null":       {goodClaims().with("jti", `null`), asMap()},
		"sub is a number":   {goodClaims().with("sub", `1`), nil},
		"sid is a number":   {goodClaims().and("sid", `1`), asMap()},
		"sid is empty":      {goodClaims().and("sid", `""`), asMap()},
		"amr is a string":   {goodClaims().and("amr", `"pwd"`), asMap()},
		"roles of numbers":  {goodClaims().and("roles", `[1]`), asMap()},
		"scope is an array": {goodClaims().and("scope", `["a"]`), asMap()},
	})
}

// RFC 7515 section 4 and RFC 7519 section 4 let a reader refuse duplicates or take the last: two readers may differ.
func TestG09DuplicatesAreRefused(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"sub":         {goodClaims().and("sub", `"mallory"`), asMap()},
		"exp":         {goodClaims().and("exp", seconds(5*time.Minute)), asMap()},
		"escaped":     {goodClaims().and(`s\u0075b`, `"mallory"`), asMap()},
		"custom":      {goodClaims().and("plan", `1`).and("plan", `2`), asMap()},
		"nested":      {goodClaims().and("plan", `{"a":1,"b":2,"a":3}`), asMap()},
		"in an array": {goodClaims().and("plan", `[{"a":1,"a":3}]`), asMap()},
		"in a crowd":  {goodClaims().and("plan", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"i":2}`), asMap()},
	})
	k := newKey(t, "ES256")
	for _, name := range []string{"alg", "kid", "typ", "x5t"} {
		t.Run("header "+name, func(t *testing.T) {
			header := goodHeader(k)
			if name == "x5t" {
				header = header.and("x5t", `"a"`)
			}
			for _, m := range header {
				if m.name == name {
					header = header.and(name, m.value)
				}
			}
			raw := k.sign(t, header, goodClaims())
			refuse(t, k, raw, token.ErrMalformed)
			peerAccepts(t, k, raw, jwt.MapClaims{})
		})
	}
}

// RFC 7519 section 7.2 step 10: the claims set is one JSON object and nothing else.
func TestG10NothingAfterTheClaims(t *testing.T) {
	k := newKey(t, "ES256")
	for name, tail := range map[string]string{"letter": "x", "object": "{}", "comma": ",", "NUL": "\x00", "brace": "}"} {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, goodHeader(k), text(goodClaims().String()+tail))
			refuse(t, k, raw, token.ErrMalformed)
			peerAccepts(t, k, raw, jwt.MapClaims{}, jwt.WithJSONNumber())
			refuse(t, k, k.sign(t, text(goodHeader(k).String()+tail), goodClaims()), token.ErrMalformed)
		})
	}
	for name, claims := range map[string]text{
		"array": `[]`, "null": `null`, "string": `"x"`, "nothing": ``, "number": `1`,
	} {
		t.Run(name, func(t *testing.T) { refuse(t, k, k.sign(t, goodHeader(k), claims), token.ErrMalformed) })
	}
}

// RFC 7515 section 5.2 step 3 and RFC 8259 section 8.2: text that readers repair in different ways.
func TestG11InvalidUnicodeIsRefused(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"invalid byte":        {goodClaims().with("sub", "\"a\xff\""), asMap()},
		"overlong form":       {goodClaims().with("sub", "\"a\xc0\xae\""), asMap()},
		"encoded surrogate":   {goodClaims().with("sub", "\"a\xed\xa0\x80\""), asMap()},
		"lone high surrogate": {goodClaims().with("sub", `"a\ud800"`), asMap()},
		"lone low surrogate":  {goodClaims().with("sub", `"a\udc00"`), asMap()},
		"high and letter":     {goodClaims().with("sub", `"a\ud800b"`), asMap()},
		"two high":            {goodClaims().with("sub", `"a\ud800\ud800"`), asMap()},
		"in a custom claim":   {goodClaims().and("plan", `{"a":["\udfff"]}`), asMap()},
		"in a name":           {goodClaims().and("pl\xffan", `1`), asMap()},
	})
	k := newKey(t, "ES256")
	raw := k.sign(t, goodHeader(k), goodClaims().with("sub", `"\ud83d\ude00 \u00e9"`))
	claims, err := newVerifier(t, k).Verify(t.Context(), raw)
	if err != nil || claims.Subject != "😀 é" {
		t.Errorf("a surrogate pair: %v, %v", claims, err)
	}
}

// CWE-400. The size is looked at before anything else, and names stay short and printable.
func TestG13SizeIsCapped(t *testing.T) {
	long := strings.Repeat("a", 300)
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"long sub":        {goodClaims().with("sub", quote(long)), asMap()},
		"long role":       {goodClaims().and("roles", `["`+long+`"]`), asMap()},
		"many roles":      {goodClaims().and("roles", `["a"`+strings.Repeat(`,"a"`, 64)+`]`), asMap()},
		"long scope":      {goodClaims().and("scope", quote(strings.Repeat("a", 2049))), asMap()},
		"sub with CR LF":  {goodClaims().with("sub", `"a\r\nX-Auth-Roles: admin"`), asMap()},
		"sub with NUL":    {goodClaims().with("sub", `"a\u0000"`), asMap()},
		"sub with DEL":    {goodClaims().with("sub", "\"a\x7f\""), asMap()},
		"sub with C1":     {goodClaims().with("sub", "\"a\u0085\""), asMap()},
		"a sub of 7000":   {goodClaims().with("sub", quote(strings.Repeat("a", 7000))), asMap()},
		"nested too deep": {goodClaims().and("x", strings.Repeat("[", 50)+strings.Repeat("]", 50)), asMap()},
	})

	k := newKey(t, "ES256")
	asked := &countingKeys{oneKey: k}
	raw := k.sign(t, goodHeader(k), goodClaims().and("x", quote(strings.Repeat("a", 900_000))))
	peerAccepts(t, k, raw, jwt.MapClaims{})
	_, err := newVerifier(t, asked).Verify(t.Context(), raw)
	if !errors.Is(err, token.ErrMalformed) || asked.n != 0 {
		t.Errorf("want malformed before any key is looked up; have %v after %d look-ups", err, asked.n)
	}
}

// countingKeys counts how often it is asked.
type countingKeys struct {
	oneKey
	n int
}

func (k *countingKeys) VerificationKey(ctx context.Context, kid, alg string) (crypto.PublicKey, bool, error) {
	k.n++
	return k.oneKey.VerificationKey(ctx, kid, alg)
}

// RFC 9068 section 2.2 requires exp; a zero there is long past, not absent.
func TestG16ExpZeroIsExpired(t *testing.T) {
	k := newKey(t, "ES256")
	raw := k.sign(t, goodHeader(k), goodClaims().with("exp", `0`))
	refuse(t, k, raw, token.ErrExpired)
	lax := []jwt.ParserOption{jwt.WithValidMethods([]string{k.alg}), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience)}
	if _, err := jwt.ParseWithClaims(raw, jwt.MapClaims{}, k.peerKey, lax...); err != nil {
		t.Errorf("golang-jwt refuses it too, so the case proves nothing: %v", err)
	}
}

// RFC 9449 section 6 and RFC 8705 section 3: a token bound to its sender's key is not a bearer token.
func TestG17SenderBoundTokensAreRefused(t *testing.T) {
	refuseClaims(t, token.ErrMalformed, map[string]claimsCase{
		"mTLS": {goodClaims().and("cnf", `{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}`), asMap()},
		"null": {goodClaims().and("cnf", `null`), asMap()},
	})
}

// revokedToken is a checker that knows one revoked jti.
type revokedToken revocation.ID

func (r revokedToken) Check(_ context.Context, c revocation.Claims) error {
	if c.Token == revocation.ID(r) {
		return revocation.ErrRevoked
	}
	return nil
}

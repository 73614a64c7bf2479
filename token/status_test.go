package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/token"
)

const requiredClaims = `"iss":"i","sub":"s","aud":"a","exp":2000000000,"iat":1900000000,"jti":"j","client_id":"c"`

func TestStatusClaim(t *testing.T) {
	read := func(status string) (token.Claims, error) {
		var c token.Claims
		err := json.Unmarshal([]byte(`{`+requiredClaims+`,"status":`+status+`}`), &c)
		return c, err
	}
	for text, want := range map[string]token.StatusReference{
		`{"status_list":{"idx":0,"uri":"https://example.com/statuslists/1"}}`:      {URI: "https://example.com/statuslists/1"},
		`{"other":[1],"status_list":{"uri":"u","more":{},"idx":9007199254740991}}`: {URI: "u", Index: 1<<53 - 1},
		`{"other_mechanism":{"idx":1}}`:                                            {},
		`{}`:                                                                       {},
	} {
		c, err := read(text)
		if err != nil || c.Status != want {
			t.Errorf("%s: %+v, %v; want %+v", text, c.Status, err, want)
		}
	}
	for _, text := range []string{
		`"active"`, `null`, `[]`, `1`,
		`{"status_list":null}`, `{"status_list":"u"}`, `{"status_list":{}}`,
		`{"status_list":{"idx":1}}`, `{"status_list":{"uri":"u"}}`, `{"status_list":{"idx":1,"uri":""}}`,
		`{"status_list":{"idx":-1,"uri":"u"}}`, `{"status_list":{"idx":1.0,"uri":"u"}}`, `{"status_list":{"idx":1e3,"uri":"u"}}`,
		`{"status_list":{"idx":"1","uri":"u"}}`, `{"status_list":{"idx":9007199254740992,"uri":"u"}}`,
		`{"status_list":{"idx":1,"idx":2,"uri":"u"}}`, `{"status_list":{"idx":1,"uri":"u"},"status_list":{"idx":2,"uri":"u"}}`,
		`{"status_list":{"idx":1,"uri":"` + strings.Repeat("u", 2049) + `"}}`,
	} {
		if c, err := read(text); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", text, c.Status, err)
		}
	}
}

func TestStatusClaimIsWrittenAsItReads(t *testing.T) {
	var c token.Claims
	if err := json.Unmarshal([]byte(`{`+requiredClaims+`}`), &c); err != nil {
		t.Fatal(err)
	}
	c.Status = token.StatusReference{URI: "https://example.com/statuslists/1", Index: 7}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"status":{"status_list":{"idx":7,"uri":"https://example.com/statuslists/1"}}`) {
		t.Errorf("written as %s", text)
	}
	var again token.Claims
	if err := json.Unmarshal(text, &again); err != nil || again.Status != c.Status {
		t.Errorf("read as %+v, %v", again.Status, err)
	}
	c.Status, c.Custom = token.StatusReference{}, map[string]json.RawMessage{"status": json.RawMessage(`{}`)}
	if _, err := json.Marshal(c); err == nil {
		t.Error("a custom claim named status was written")
	}
}

// allocator answers what it is told, and notes what it was asked.
type allocator struct {
	reference token.StatusReference
	err       error
	asked     token.Claims
}

func (a *allocator) AllocateStatus(_ context.Context, c *token.Claims) (token.StatusReference, error) {
	a.asked = *c
	return a.reference, a.err
}

func TestIssuerAllocatesAStatus(t *testing.T) {
	keys := newProfileKeys(t)
	a := &allocator{reference: token.StatusReference{URI: "https://example.com/l", Index: 3}}
	issuer, err := token.NewIssuer(token.IssuerConfig{Issuer: "i", Audience: []string{"a"}, Keys: keys, Status: a})
	if err != nil {
		t.Fatal(err)
	}
	_, issued, err := issuer.Issue(t.Context(), token.Claims{Subject: "s", ClientID: "c"})
	if err != nil || issued.Status != a.reference {
		t.Errorf("status %+v, %v", issued.Status, err)
	}
	if a.asked.ID != issued.ID || a.asked.ExpiresAt.Unix() != issued.ExpiresAt.Unix() || a.asked.KeyID != issued.KeyID {
		t.Errorf("the allocator was asked about %+v, not %+v", a.asked, issued)
	}
	a.err = errors.New("on purpose")
	if raw, _, err := issuer.Issue(t.Context(), token.Claims{Subject: "s", ClientID: "c"}); !errors.Is(err, token.ErrUnavailable) || raw != "" {
		t.Errorf("without a place: %q, %v", raw, err)
	}
}

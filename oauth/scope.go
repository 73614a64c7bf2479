package oauth

import (
	"slices"
	"strings"
)

// maxScope bounds what a request may ask for, in bytes.
const maxScope = 1024

// isScopeToken wants one word by RFC 6749 section 3.3.
func isScopeToken(s string) bool { return s != "" && isVisible(s) && !strings.ContainsAny(s, `"\`) }

// HasScope tells whether a word is one of a scope.
func HasScope(scope, word string) bool { return slices.Contains(strings.Fields(scope), word) }

// GrantedScope returns what a client gets that asks for a scope in a browser: of what it asks for, what it is registered
// for. Others are left out and not refused, as OpenID Connect Core section 3.1.2.1 wants. It is false if nothing is left.
func (c *Client) GrantedScope(asked string) (granted string, ok bool) {
	if asked == "" {
		return c.defaultScope(), true
	}
	var words []string
	for word := range strings.FieldsSeq(asked) {
		if slices.Contains(c.Scopes, word) && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " "), len(words) > 0
}

// ExactScope returns the scope that a client gets that asks for one without a user: all that it asks for. It is false
// when the client is not registered for a part of it.
func (c *Client) ExactScope(asked string) (granted string, ok bool) {
	if asked == "" {
		return c.defaultScope(), true
	}
	granted, ok = c.GrantedScope(asked)
	return granted, ok && Within(granted, asked)
}

func (c *Client) defaultScope() string {
	var words []string
	for _, word := range c.Scopes {
		if word != ScopeOpenID && word != ScopeProfile && word != ScopeOfflineAccess {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// Within tells whether every word of narrow is one of wide.
func Within(wide, narrow string) bool {
	have := strings.Fields(wide)
	for word := range strings.FieldsSeq(narrow) {
		if !slices.Contains(have, word) {
			return false
		}
	}
	return true
}

// checkScope says what is wrong with a scope that a request asks for; "" for nothing.
func checkScope(scope string) string {
	if len(scope) > maxScope {
		return "scope: too long"
	}
	for word := range strings.SplitSeq(scope, " ") {
		if scope != "" && !isScopeToken(word) {
			return "scope: must be words with single spaces between them"
		}
	}
	return ""
}

// Package tokentest makes hostile tokens and requests, by which anybody can try a verifier of access tokens:
//
//	cases, err := tokentest.Cases(tokentest.Target{Good: raw, Key: key})
//	for _, c := range cases {
//		r := httptest.NewRequest("GET", "/", nil)
//		c.Apply(r)
//		// whatever answers r must refuse it
//	}
//
// Each [Case] is the good token, or a request with the good token, after one named change. Where the change is in what the
// token says, the token is signed again with the real key, as a careless issuer or one in the wrong hands would do it: the
// named change is then the only reason to refuse it. A verifier that accepts a case lacks the check that the case is named
// after; the RFC at the case says where that check is asked for.
//
// Cases are the same for the same [Target], and no two are alike. They hold for access tokens by the profile of RFC 9068:
// a verifier of other tokens accepts some of "typ" and "missing", rightly so.
//
// A [Canary] shows whether a verifier follows the URLs that tokens bring along. [Run] asks a guarded [http.Handler] about
// all cases, which makes one line of a service's own tests.
package tokentest

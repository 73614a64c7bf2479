// Package dpop makes and checks DPoP proofs (RFC 9449): short JWTs by which whoever sends an access token shows to hold
// the private key that the token is bound to. A bound token that was stolen is of no use without that key.
//
// [Check] is the rule, a function of a proof and the request that it came with. A [Verifier] adds what needs memory: a
// proof is good once ([Replays]), and, where that is asked for, only with a nonce of the server's ([Nonces]). A [Key] makes
// proofs, for clients and tests:
//
//	key, err := dpop.GenerateKey()
//	proof, err := key.Prove(dpop.Statement{Method: "GET", URL: "https://api.example.com/orders", AccessToken: raw})
//	request.Header.Set("Authorization", "DPoP "+raw)
//	request.Header.Set("DPoP", proof)
//
// A proof says nothing about who sends it: it is self-signed, and anybody can make one. It counts together with a token
// whose cnf.jkt names the proof's key, which is for package token to say. So a verifier is used in two steps: [Verifier.Check]
// before the token is looked at, and [Verifier.Spend] once it was found good. Strangers can then not fill the memory of
// proofs used before.
package dpop

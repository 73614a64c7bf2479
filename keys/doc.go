// Package keys is the life of signing keys: prepared (published, does not sign) → active (signs) → retired (published,
// does not sign) → gone.
//
// A key is in the JWKS before it signs and stays there until its last token is dead, so that no standard JWKS client
// ever meets an unknown kid. The rule is a pure function, [Policy.Next]; the elected leader's [Rotator] asks it every
// few seconds and performs one transition per write. A [Store] fences each write by term and version, so a deposed
// leader can do no harm. Every process serves tokens and the JWKS from its own [View] of the ring, and stops doing so
// when that view is too old.
//
// In an emergency any process revokes a key ([Rotator.Revoke]): its kid enters the revocation set, which every verifier
// follows, and there the leader finds it ([RevokedKeys]) and lets the standby sign.
//
// Where every verifier reports which JWKS it holds ([Reports]), a key may sign as soon as all hold it, ahead of the
// timetable (Policy.PublishAheadLeast).
//
// Whoever can read an unsealed ring can forge tokens; stores outside the process therefore hold only sealed ones, see
// [Codec]. A backend offers a [Cell], one value with compare-and-swap, and passes the suite of package keystest.
//
// [Remote] is for verifiers elsewhere: it follows the JWKS of an issuer that they know by its URL.
package keys

// Package middleware guards net/http handlers with authd's access tokens:
//
//	guard, err := middleware.New(ctx, "https://auth.example.com", middleware.Options{Audience: "orders"})
//	http.Handle("GET /orders", guard.Handler(orders))
//	claims, _ := middleware.ClaimsFrom(r.Context()) // in orders
//
// From the issuer's URL a [Guard] learns where the public keys and the revocation feed are, and keeps both in memory. A
// request is decided from memory, without a network: the Authorization header, signature and claims, revocation, and
// what the route requires ([Scopes], [Roles], [ACR], [MaxAge], [Check]).
//
// A session that was logged out is refused within milliseconds, and never accepted for longer than MaxStaleness, even if
// the issuer or the network fails. A guard that cannot prove its copy of the revocations to be that fresh answers 503
// and not 401, so that nobody is logged out by an outage. A route may choose otherwise: [Stale] bears an older copy,
// [Online] asks the issuer about every request. There is no policy that accepts whatever comes.
//
// A service that may read authd's Redis can hold its copy, and ask, without the issuer in between:
//
//	source, err := redisstore.OpenSource("redis://verifier:PASSWORD@redis:6379", redisstore.SourceConfig{})
//	guard, err := middleware.New(ctx, "https://auth.example.com", middleware.Options{Audience: "orders", Redis: source})
//
// Tokens that are bound to a key come as "Authorization: DPoP TOKEN" with a proof of that key (RFC 9449), and pass in no
// other way; [Bound] takes no others, and [Options].DPoP says by which URL clients know the service.
//
// Guards also stand before echo (echomw) and gRPC (grpcmw), and anywhere else as a [Route]. An [Observer] is told of each
// decision; otelmw and prommw have ready ones.
//
// Refusals are RFC 9457 problem documents with the challenges of RFC 6750 and RFC 9470. Trusted are the issuer and the way to it
// (TLS): whoever can answer in its place can make tokens.
package middleware

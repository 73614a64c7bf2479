// Package mfa keeps and checks second factors: one-time passwords of an authenticator app (TOTP, RFC 6238), recovery codes,
// and passkeys (WebAuthn), which are also a first factor.
//
// A [Service] belongs to users of any source, as it knows them by their subject alone. It decides nothing about sessions:
//
//	factors, err := mfa.Open(ctx, mfa.Config{Store: store, Masters: masters, Seals: view, Issuer: "https://login.example.com"})
//
//	// To enrol an app, show the URI as a QR code, and prove with a code that it was read:
//	e, err := factors.BeginTOTP(ctx, subject, "alice")
//	added, err := factors.ConfirmTOTP(ctx, subject, e.State, code, "phone") // added.RecoveryCodes are shown once
//
//	// After the password: what else is wanted, and whether it was given.
//	wanted, err := factors.Wanted(ctx, subject)
//	passed, err := factors.Check(ctx, subject, mfa.Presented{Code: "123456"})
//
// What is promised:
//
//   - A factor counts only once its owner has used it. Until then the server keeps nothing: what it must remember
//     is sealed and travels with the client.
//   - Whatever is shown counts once. The last step of an app, the counter of a passkey, a recovery code and a challenge
//     are each used up in one atomic step of the [Store], so that of two who come at once one is refused.
//   - The store alone is of no use to a thief: secrets are sealed (AES-256-GCM) under a key that is sealed under a
//     [MasterKey] from outside, and recovery codes are kept as keyed digests. Whoever can write to the store can take
//     factors away, but can neither add one nor move one to somebody else.
//
// Nothing here limits how often somebody may guess: the caller counts failures, together with those of passwords.
package mfa

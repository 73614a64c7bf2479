// Package mfatest has what tests of second factors need: [Run], the suite that every [mfa.Store] passes, [Code], an
// authenticator app, and [Authenticator], a passkey in software.
package mfatest

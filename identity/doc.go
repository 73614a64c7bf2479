// Package identity answers who may log in: it checks a name and a password against a source of users.
//
// An unknown user, a wrong password and a disabled account cost the same time and get the same answer. Passwords are
// hashed with argon2id behind a bounded pool, so that a flood of logins cannot exhaust memory. Sources of users are
// sub-packages.
package identity

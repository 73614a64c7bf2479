// Package identity answers who may log in: it checks a name and a password against a source of users.
//
// An unknown user, a wrong password, a disabled account and one without a password get the same answer after the same
// work: one hash, at a cost that is really in use. Passwords are hashed with argon2id (RFC 9106) by a [Hasher], which
// runs few hashes at once and lets few callers wait, so that a flood of logins exhausts neither memory nor the
// processors: the surplus gets [ErrBusy]. Hashes of other costs, and bcrypt hashes from elsewhere, are replaced at
// their owner's next login. New passwords are judged by [Rules] after NIST SP 800-63B-4.
//
// What this package trusts: whoever can write to the source of users can log in as anybody. It does not limit how often
// somebody may try; that is for the caller.
//
// Sources of users are sub-packages. They implement [Reader], and [Directory] where authd manages the accounts; package
// identitytest holds what each of them must do. [InOrder] makes one of several.
package identity

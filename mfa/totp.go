package mfa

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what authenticator apps understand; HMAC does not need SHA-1 to resist collisions
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The parameters of time-based one-time passwords (RFC 6238). They are the defaults of every authenticator app, and many
// apps ignore others that the URI asks for, so there is no choice to offer.
const (
	totpPeriod = 30 * time.Second
	totpDigits = 6
	totpWindow = 1  // steps that the clocks may differ, either way
	totpSecret = 20 // bytes, as RFC 4226 section 4 recommends
)

// hotp returns the one-time password of a counter (RFC 4226 section 5.3).
//
// It is written here rather than taken from a library: the ones there are tell whether a code is good, but not of which
// step it was, and without that a code cannot be accepted only once; and they bring an encoder of images along.
func hotp(secret []byte, counter uint64) string {
	h := hmac.New(sha1.New, secret)
	h.Write(binary.BigEndian.AppendUint64(nil, counter)) // a hash never fails to write
	sum := h.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, number%1_000_000)
}

// totpStep returns the number of the period that t lies in.
func totpStep(t time.Time) int64 { return t.Unix() / int64(totpPeriod/time.Second) }

// totpMatch returns the step of which code is the password, among those near now that come after the last one used. The
// comparison takes the same time for every wrong code.
func totpMatch(secret []byte, code string, now time.Time, used int64) (step int64, ok bool) {
	current := totpStep(now)
	for s := current - totpWindow; s <= current+totpWindow; s++ {
		equal := subtle.ConstantTimeCompare([]byte(hotp(secret, uint64(s))), []byte(code)) == 1
		if equal && s > used && !ok {
			step, ok = s, true
		}
	}
	return step, ok
}

// cleanCode removes the blanks with which apps show codes and people type them; ok is false for what cannot be a code.
func cleanCode(code string) (_ string, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	return code, len(code) == totpDigits && strings.Trim(code, "0123456789") == ""
}

// totpText returns a secret as people type it into an app: base32 without padding.
func totpText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// totpURI returns what an authenticator app reads from a QR code (Key URI Format). The issuer stands in it twice, for apps
// that read only one of the places.
func totpURI(issuer, account string, secret []byte) string {
	query := url.Values{
		"secret": {totpText(secret)}, "issuer": {issuer}, "algorithm": {"SHA1"},
		"digits": {fmt.Sprint(totpDigits)}, "period": {fmt.Sprint(int(totpPeriod / time.Second))},
	}
	// Apps decode %20 but not every one decodes +, which Encode writes for a blank.
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" +
		strings.ReplaceAll(query.Encode(), "+", "%20")
}

package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header carries the signature of a request: "t=", the time in Unix seconds, ",v1=", and the HMAC-SHA256, in hex, of the time as
// it stands there, a full stop, and the body.
const Header = "Authd-Signature"

// ErrSignature means that a request was not signed with the secret, or too long ago.
var ErrSignature = errors.New("webhook signature")

func sign(secret []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(digest(secret, t, body))
}

func digest(secret []byte, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify is for receivers: it checks the [Header] of a request with this body. Requests that were signed longer than tolerance
// before now, or after it, are refused, so that one which somebody has recorded cannot be sent again later; 5 minutes are usual.
func Verify(secret []byte, header string, body []byte, now time.Time, tolerance time.Duration) error {
	first, second, _ := strings.Cut(header, ",")
	t, hasTime := strings.CutPrefix(first, "t=")
	text, hasMAC := strings.CutPrefix(second, "v1=")
	unix, err := strconv.ParseInt(t, 10, 64)
	mac, macErr := hex.DecodeString(text)
	switch {
	case !hasTime || !hasMAC || err != nil || macErr != nil:
		return fmt.Errorf("%w: malformed", ErrSignature)
	case !hmac.Equal(mac, digest(secret, t, body)):
		return fmt.Errorf("%w: not made with this secret", ErrSignature)
	case now.Sub(time.Unix(unix, 0)).Abs() > tolerance:
		return fmt.Errorf("%w: made at another time", ErrSignature)
	}
	return nil
}

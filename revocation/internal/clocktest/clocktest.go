// Package clocktest makes times whose two clocks disagree, for tests.
package clocktest

import (
	"testing"
	"time"
	"unsafe"
)

// Suspended returns a copy of at whose monotonic reading lags by d, as after a suspension of the machine for so long,
// or after its wall clock was set forward; with a negative d, as after the wall clock was set back. Package time offers
// no way to make one, so this reaches into the second word of [time.Time], and checks that it was the right one.
func Suspended(t testing.TB, at time.Time, d time.Duration) time.Time {
	t.Helper()
	lags := at
	*(*int64)(unsafe.Add(unsafe.Pointer(&lags), unsafe.Sizeof(uint64(0)))) -= int64(d) //nolint:gosec // unsafe is the only way; checked below
	if at.Sub(lags) != d || !at.Round(0).Equal(lags.Round(0)) {
		t.Fatal("package time has changed its representation, or the time has no monotonic reading")
	}
	return lags
}

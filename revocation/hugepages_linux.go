package revocation

import (
	"syscall"
	"unsafe"
)

const (
	hugePage = 2 << 20 // bytes; on systems with larger ones the kernel refuses, and nothing changes

	adviseHuge     = 14 // MADV_HUGEPAGE: give huge pages from the first touch on
	adviseCollapse = 25 // MADV_COLLAPSE, since Linux 6.1: make huge pages of what has been touched before
)

// inHugePages asks the kernel to keep s in huge pages, before it is filled and once more when it has been: a table of
// millions of entries has more pages than a processor remembers the places of, and finding a page costs as much as the
// memory itself. It is a wish; a kernel that does not grant it only makes the table slower.
func inHugePages[T any](s []T, filled bool) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T)))) //nolint:gosec // exactly s
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (hugePage - 1)                         //nolint:gosec // only its last bits
	if len(b) < skip+hugePage {
		return
	}
	advice := adviseHuge
	if filled {
		advice = adviseCollapse
	}
	whole := (len(b) - skip) &^ (hugePage - 1)
	_ = syscall.Madvise(b[skip:skip+whole], advice)
}

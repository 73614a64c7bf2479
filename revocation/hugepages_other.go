//go:build !linux

package revocation

func inHugePages[T any]([]T, bool) {}

package boltfile

import "io"

// Verify is verify, for tests of the package from outside.
func Verify(file io.ReaderAt, size int64) error {
	_, err := verify(file, size)
	return err
}

package boltfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrMissing means that the file is gone, although there was one.
var ErrMissing = errors.New("the file is missing, and there was one")

// sum is kept beside a file, under its name and ".sum". It tells that there is a file, and after an end in order what is in
// it: then whatever has changed since is noticed. After a crash it is of an earlier transaction, and says nothing.
type sum struct {
	Transaction uint64 `json:"transaction"`
	SHA256      string `json:"sha256,omitempty"` // in hex; empty until the file was closed for the first time
}

func sumName(path string) string { return path + ".sum" }

// check looks at the file before it is used. The file may not change meanwhile; see [whileLocked].
func check(path string) error {
	kept, err := readSum(path)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if kept == nil {
			return nil // it is made now
		}
		return fmt.Errorf("%w: %s is there. Restore a backup; or, to begin with nothing and log everybody out, remove that file too",
			ErrMissing, sumName(path))
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return whileLocked(file, func() error { return checkContent(path, file, kept) })
}

func checkContent(path string, file *os.File, kept *sum) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 && kept == nil {
		return nil // a process died when it made the file
	}
	transaction, err := verify(file, info.Size())
	if err != nil {
		return err
	}
	if kept == nil || kept.SHA256 == "" || kept.Transaction != transaction {
		return nil
	}
	digest, err := digestOf(file)
	if err == nil && digest != kept.SHA256 {
		err = fmt.Errorf("%w: it has changed since it was closed. If you have put another one in its place, remove %s", ErrDamaged, sumName(path))
	}
	return err
}

// readSum returns nil where there is none.
func readSum(path string) (*sum, error) {
	text, err := os.ReadFile(sumName(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kept := new(sum)
	if err := json.Unmarshal(text, kept); err != nil {
		return nil, fmt.Errorf("%s: %w", sumName(path), err)
	}
	return kept, nil
}

// noteOpened leaves a sign that there is a file.
func noteOpened(path string) error {
	if kept, err := readSum(path); kept != nil || err != nil {
		return err
	}
	return writeSum(path, sum{})
}

// noteClosed notes what is in a file that was closed in order.
func noteClosed(path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return whileLocked(file, func() error {
		m, err := readMeta(file, 0)
		if err != nil {
			return err
		}
		digest, err := digestOf(file)
		if err != nil {
			return err
		}
		return writeSum(path, sum{m.txid, digest})
	})
}

func digestOf(file *os.File) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// writeSum replaces the file as a whole.
func writeSum(path string, s sum) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".sum-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(text, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), sumName(path))
}

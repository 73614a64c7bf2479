package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// PreviousRelease returns the folder in which install.d/previous.sh has built authd and the example service orders of the
// release before this one, and the commit of that.
func PreviousRelease(t testing.TB) (folder, commit string) {
	t.Helper()
	folder, commit, err := previousRelease()
	if err != nil {
		t.Fatal(err)
	}
	return folder, commit
}

func previousRelease() (folder, commit string, err error) {
	file, err := repositoryFile("internal/testenv/previous-release")
	if err != nil {
		return "", "", fmt.Errorf("looking for the previous release: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("looking for the previous release: %w", err)
	}
	commit = strings.TrimSpace(string(text))
	folder = filepath.Join(cacheDir(), "previous-"+commit)
	for _, name := range []string{"authd", "orders"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return "", "", fmt.Errorf("the previous release is not built: %w; run internal/testenv/install.sh (make test does)", err)
		}
	}
	return folder, commit, nil
}

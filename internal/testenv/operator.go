package testenv

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// OperatorCRDs returns the files with the definitions of the Prometheus operator's ServiceMonitor and PrometheusRule.
func OperatorCRDs(t testing.TB) (files []string) {
	t.Helper()
	dir, err := pinnedDir("operator")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"servicemonitors", "prometheusrules"} {
		file := filepath.Join(dir, kind+".yaml")
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("the definitions of the Prometheus operator are not there: %v; run internal/testenv/install.sh (make test does)", err)
		}
		files = append(files, file)
	}
	return files
}

// pinnedDir returns the folder of the user's cache for what a module of this folder pins, named by the hash of its files.
func pinnedDir(module string) (string, error) {
	source, err := repositoryFile("internal/testenv/" + module)
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", module, err)
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", module, err)
		}
		hash.Write(content)
	}
	return filepath.Join(cacheDir(), fmt.Sprintf("%s-%x", module, hash.Sum(nil))), nil
}

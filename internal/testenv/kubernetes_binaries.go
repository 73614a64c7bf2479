package testenv

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// assetPath returns where install.d/kubernetes.sh has put one of etcd, kube-apiserver and kubectl.
func assetPath(name string) (string, error) {
	source, err := repositoryFile("internal/testenv/kubernetes")
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", name, err)
	}
	mains, err := filepath.Glob(filepath.Join(source, "*", "main.go")) // sorted
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", name, err)
	}
	hash := sha256.New()
	for _, file := range append([]string{filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum")}, mains...) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", name, err)
		}
		hash.Write(content)
	}
	path := filepath.Join(cacheDir(), fmt.Sprintf("kubernetes-%x", hash.Sum(nil)), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed: %w; run internal/testenv/install.sh (make test does)", name, err)
	}
	return path, nil
}

// cacheDir is where the install scripts put what they build or download.
func cacheDir() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "authd-test")
}

// repositoryFile finds a file or folder of the repository from the folder of any of its packages, where tests run.
func repositoryFile(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%s is in no folder above", name)
		}
		dir = parent
	}
}

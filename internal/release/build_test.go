package main

import (
	"os"
	"strings"
	"testing"
)

// `make build` compiles as the image does, so that what TestImage shows of the image's program holds of bin/authd.
func TestMakefileBuildsLikeTheImage(t *testing.T) {
	text := must(os.ReadFile("../../Makefile"))
	const want = "CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)'"
	if !strings.Contains(string(text), want) {
		t.Errorf("the Makefile does not have %s", want)
	}
}

// Without a version or a time there is no release.
func TestSourceIsNamed(t *testing.T) {
	empty := func(string) string { return "" }
	epoch := func(string) string { return "1700000000" }
	nowhere := source{folder: t.TempDir()}
	if err := nowhere.complete(t.Context(), epoch); err == nil || !strings.Contains(err.Error(), "-version") {
		t.Errorf("no version: %v", err)
	}
	nowhere.version = "v1"
	if err := nowhere.complete(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("no time: %v", err)
	}
	if err := nowhere.complete(t.Context(), epoch); err != nil || nowhere.time.Unix() != 1_700_000_000 || nowhere.revision != "" {
		t.Errorf("%+v, %v", nowhere, err)
	}
	repository := source{folder: "../.."}
	if err := repository.complete(t.Context(), empty); err != nil || repository.version == "" || len(repository.revision) != 40 || repository.time.IsZero() {
		t.Errorf("%+v, %v", repository, err)
	}
}

func TestCommands(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense", "-o", "x"}, {"image"}, {"rootfs"}, {"image", "-nonsense"}} {
		if err := run(t.Context(), args, os.Getenv, os.Stdout); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// `make build` compiles as the image does, so that what TestImage shows of the image's program holds of bin/authd. `make
// image` is this program, with what docs/images.md says that one can set.
func TestMakefile(t *testing.T) {
	for target, want := range map[string]string{
		"build": "CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=v1'",
		"image": "go -C internal/release run . image -version v1 -o /x/image",
	} {
		make := exec.CommandContext(t.Context(), "make", "-C", "../..", "--dry-run", target, "GO=go", "VERSION=v1", "IMAGE=/x/image")
		if got := must(capture(make)); !strings.Contains(got, want) {
			t.Errorf("make %s runs\n%s\nand not\n%s", target, got, want)
		}
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

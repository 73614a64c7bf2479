package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// deploy/Dockerfile says the same of the image as `release image` does. It takes the files from `release rootfs`.
func TestDockerfile(t *testing.T) {
	s := source{version: "$VERSION", revision: "$REVISION", time: time.Unix(0, 0).UTC()}
	image := must(newImage(s, "amd64", rootFS{}))
	want := must(image.ConfigFile()).Config
	delete(want.Labels, "org.opencontainers.image.created") // buildx knows it as SOURCE_DATE_EPOCH

	final := stage(t, "scratch")
	for instruction, value := range map[string]string{
		"USER": want.User, "WORKDIR": want.WorkingDir, "STOPSIGNAL": want.StopSignal,
		"ENV": strings.Join(want.Env, "\n"), "ENTRYPOINT": list(want.Entrypoint), "CMD": list(want.Cmd),
		"VOLUME": list(slices.Sorted(maps.Keys(want.Volumes))),
		"EXPOSE": strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(want.ExposedPorts)), " "), "/tcp", ""),
	} {
		if got := strings.Join(final[instruction], "\n"); got != value {
			t.Errorf("%s %s, want %s", instruction, got, value)
		}
	}
	labels := make(map[string]string)
	for _, m := range regexp.MustCompile(`([a-z.]+)="([^"]*)"`).FindAllStringSubmatch(final["LABEL"][0], -1) {
		labels[m[1]] = m[2]
	}
	if !maps.Equal(labels, want.Labels) {
		t.Errorf("labels %q, want %q", labels, want.Labels)
	}
	for _, c := range final["COPY"] {
		if owner := "--chown=0:0"; strings.HasSuffix(c, "/"+dataPath) {
			owner = fmt.Sprintf("--chown=%d:%d", userID, userID)
			if !strings.Contains(c, owner) {
				t.Errorf("COPY %s: the owner should be %d", c, userID)
			}
		} else if !strings.Contains(c, owner) {
			t.Errorf("COPY %s: the owner should be root", c)
		}
	}
}

// stage returns the instructions of the stage that begins from an image.
func stage(t *testing.T, from string) map[string][]string {
	t.Helper()
	text := string(must(os.ReadFile("../../deploy/Dockerfile")))
	text = strings.ReplaceAll(text, "\\\n", "")
	_, text, found := strings.Cut(text, "\nFROM "+from+"\n")
	if !found {
		t.Fatalf("no stage begins from %s", from)
	}
	instructions := make(map[string][]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			instructions[name] = append(instructions[name], value)
		}
	}
	return instructions
}

func list(values []string) string { return string(must(json.Marshal(values))) }

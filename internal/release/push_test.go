package main

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// checkPush brings everything that the layout has to a registry, which then tells, of each platform's image, that a bill of
// materials refers to it.
func checkPush(t *testing.T, folder string, index v1.ImageIndex) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := must(name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/authd"))
	tag := repository.Tag("v1")
	must(0, remote.WriteIndex(tag, index))
	top := must(layout.Path(folder).ImageIndex())
	for _, d := range must(top.IndexManifest()).Manifests {
		if d.MediaType.IsImage() {
			must(0, remote.Write(repository.Digest(d.Digest.String()), must(top.Image(d.Digest))))
		}
	}
	for _, d := range must(index.IndexManifest()).Manifests {
		pulled := must(remote.Image(tag, remote.WithPlatform(*d.Platform)))
		if got := must(pulled.Digest()); got != d.Digest {
			t.Errorf("%v: pulled %v, want %v", d.Platform, got, d.Digest)
		}
		referrers := must(must(remote.Referrers(repository.Digest(d.Digest.String()))).IndexManifest()).Manifests
		if len(referrers) != 1 {
			t.Fatalf("%v: %d refer to it", d.Platform, len(referrers))
		}
		bill := must(must(remote.Image(repository.Digest(referrers[0].Digest.String()))).Manifest())
		if bill.ArtifactType != string(spdxMediaType) || bill.Subject.Digest != d.Digest {
			t.Errorf("%v: what refers to it is %+v", d.Platform, bill)
		}
	}
}

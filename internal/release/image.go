package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	spdxMediaType  types.MediaType = "application/spdx+json"
	emptyMediaType types.MediaType = "application/vnd.oci.empty.v1+json"
	refName                        = "org.opencontainers.image.ref.name"
)

// writeImage writes an OCI image layout. Its index names, under the version, the image's own index of platforms; and beside it, for
// each platform, the bill of materials as a referrer: a manifest whose subject is that platform's image.
func writeImage(ctx context.Context, s source, folder string, stdout io.Writer) error {
	if err := makeRoom(folder); err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	index = mutate.Annotations(index, labels(s)).(v1.ImageIndex)
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	var bills []v1.Descriptor
	for _, arch := range platforms {
		root, err := makeRootFS(ctx, s, arch)
		if err != nil {
			return err
		}
		image, err := newImage(s, arch, root)
		if err != nil {
			return fmt.Errorf("making the image for %s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
		bill, err := billOfMaterials(s, arch, root)
		if err != nil {
			return err
		}
		d, err := writeReferrer(path, image, bill)
		if err != nil {
			return fmt.Errorf("attaching the bill of materials for %s: %w", arch, err)
		}
		bills = append(bills, d)
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: s.version})); err != nil {
		return err
	}
	for _, d := range bills {
		if err := path.AppendDescriptor(d); err != nil {
			return err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s %s\n", s.version, digest)
	return err
}

// makeRoom removes the layout that an earlier build has left, and nothing else.
func makeRoom(folder string) error {
	_, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(folder, "oci-layout")); err != nil {
		return fmt.Errorf("%s is there, and is no image layout that could be replaced", folder)
	}
	return os.RemoveAll(folder)
}

// newImage is the image of one platform: one layer, and how to run it.
func newImage(s source, arch string, root rootFS) (v1.Image, error) {
	files, err := layer(root.files, s.time)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: s.time}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: files, History: v1.History{Created: created, CreatedBy: "authd-release image", Comment: "authd " + s.version},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, created
	config.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", userID, userID),
		Env:          []string{"AUTHD_DATA=/" + dataPath, "AUTHD_LISTEN=:8080"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "8081/tcp": {}},
		Volumes:      map[string]struct{}{"/" + dataPath: {}},
		Entrypoint:   []string{"/" + programPath},
		Cmd:          []string{"serve"},
		WorkingDir:   "/" + dataPath,
		StopSignal:   "SIGTERM",
		Labels:       labels(s),
	}
	return mutate.ConfigFile(image, config)
}

// labels are the annotations that the OCI image specification defines.
func labels(s source) map[string]string {
	const prefix = "org.opencontainers.image."
	l := map[string]string{
		prefix + "title":         "authd",
		prefix + "description":   "JWT sessions that can be revoked",
		prefix + "licenses":      "Apache-2.0",
		prefix + "source":        projectURL,
		prefix + "url":           projectURL,
		prefix + "documentation": projectURL + "/tree/main/docs",
		prefix + "vendor":        "authd-project",
		prefix + "version":       s.version,
		prefix + "created":       s.time.Format("2006-01-02T15:04:05Z"),
	}
	if s.revision != "" {
		l[prefix+"revision"] = s.revision
	}
	return l
}

// writeReferrer stores content as an artifact that refers to image, and returns what names the artifact.
func writeReferrer(path layout.Path, image v1.Image, content []byte) (v1.Descriptor, error) {
	subject, err := partial.Descriptor(image)
	if err != nil {
		return v1.Descriptor{}, err
	}
	nothing := []byte("{}")
	manifest := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  string(spdxMediaType),
		Config:        describe(nothing, emptyMediaType),
		Layers:        []v1.Descriptor{describe(content, spdxMediaType)},
		Subject:       &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, blob := range [][]byte{nothing, content, text} {
		if err := path.WriteBlob(describe(blob, "").Digest, io.NopCloser(bytes.NewReader(blob))); err != nil {
			return v1.Descriptor{}, err
		}
	}
	d := describe(text, types.OCIManifestSchema1)
	d.ArtifactType = string(spdxMediaType)
	return d, nil
}

func describe(blob []byte, kind types.MediaType) v1.Descriptor {
	sum := sha256.Sum256(blob)
	return v1.Descriptor{
		MediaType: kind, Size: int64(len(blob)), Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
	}
}

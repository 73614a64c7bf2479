package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer packs files into one compressed layer. Order, owners, modes and times are all that a file has beside its content,
// and none of them comes from this machine.
func layer(files []file, at time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	compressor := gzip.NewWriter(&packed) // without a name or a time in its header
	archive := tar.NewWriter(compressor)
	for _, f := range files {
		if err := archive.WriteHeader(f.header(at)); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressor.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

func (f file) header(at time.Time) *tar.Header {
	h := &tar.Header{
		Name: f.name, Typeflag: tar.TypeReg, Mode: int64(f.mode.Perm()), Size: int64(len(f.content)),
		Uid: f.owner, Gid: f.owner, ModTime: at, Format: tar.FormatUSTAR,
	}
	if f.mode.IsDir() {
		h.Name, h.Typeflag = f.name+"/", tar.TypeDir
	}
	return h
}

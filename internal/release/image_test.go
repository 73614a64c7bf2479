package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// The image is what it should be: the same bytes from another folder, sound by the letter of the specification, and on each
// platform a program that logs somebody in. It is built once, as that takes long where nothing was built before.
func TestImage(t *testing.T) {
	s := source{
		folder: snapshot(t, "../.."), version: "v1.2.3-test", revision: strings.Repeat("0123456789", 4),
		time: time.Unix(1_700_000_000, 0).UTC(),
	}
	folder := buildImage(t, s)
	t.Run("is the same from another folder", func(t *testing.T) {
		s.folder = snapshot(t, s.folder)
		compareFolders(t, folder, buildImage(t, s))
	})
	t.Run("replaces an earlier one only", func(t *testing.T) {
		other := t.TempDir()
		if makeRoom(other) == nil || makeRoom(folder+"/index.json") == nil {
			t.Error("would remove what is no layout")
		}
		must(0, os.CopyFS(other, os.DirFS(folder)))
		if err := makeRoom(other); err != nil || makeRoom(other) != nil {
			t.Errorf("does not replace a layout: %v", err)
		}
	})
	index := imageIndex(t, folder, s)
	t.Run("is sound", func(t *testing.T) {
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
	})
	t.Run("can be pushed", func(t *testing.T) { checkPush(t, folder, index) })
	manifest := must(index.IndexManifest())
	var found []string
	for _, d := range manifest.Manifests {
		found = append(found, d.Platform.String())
		image := must(index.Image(d.Digest))
		t.Run(d.Platform.Architecture, func(t *testing.T) {
			checkConfig(t, image, s, d.Platform.Architecture)
			root := checkFiles(t, image, s, d.Platform.Architecture)
			checkBill(t, layout.Path(folder), d.Digest, filepath.Join(root, programPath))
			checkLogin(t, image, root, d.Platform.Architecture, s.version)
		})
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(found, want) {
		t.Errorf("platforms %q, want %q", found, want)
	}
}

func buildImage(t *testing.T, s source) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "image")
	var printed strings.Builder
	if err := writeImage(t.Context(), s, folder, &printed); err != nil {
		t.Fatal(err)
	}
	index := imageIndex(t, folder, s)
	if want := s.version + " " + must(index.Digest()).String() + "\n"; printed.String() != want {
		t.Errorf("printed %q, want %q", printed.String(), want)
	}
	return folder
}

// snapshot copies the source to another folder.
func snapshot(t *testing.T, folder string) string {
	t.Helper()
	to := t.TempDir()
	if err := copySource(t.Context(), folder, to); err != nil {
		t.Fatal(err)
	}
	return to
}

func compareFolders(t *testing.T, a, b string) {
	t.Helper()
	one, other := digests(t, a), digests(t, b)
	if len(one) < 5 {
		t.Errorf("only %d files: there is nothing to compare", len(one))
	}
	for _, name := range slices.Sorted(maps.Keys(one)) {
		if other[name] != one[name] {
			t.Errorf("%s differs", name)
		}
		delete(other, name)
	}
	if len(other) > 0 {
		t.Errorf("only the second has %q", slices.Sorted(maps.Keys(other)))
	}
}

func digests(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	must(0, filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		sum := sha256.Sum256(text)
		found[strings.TrimPrefix(name, folder)] = hex.EncodeToString(sum[:])
		return err
	}))
	return found
}

// imageIndex returns what the layout names by the version, as a client that is told a tag finds it.
func imageIndex(t *testing.T, folder string, s source) v1.ImageIndex {
	t.Helper()
	top := must(layout.ImageIndexFromPath(folder))
	for _, d := range must(top.IndexManifest()).Manifests {
		if d.Annotations[refName] == s.version {
			if d.MediaType != types.OCIImageIndex {
				t.Errorf("the version names a %s", d.MediaType)
			}
			return must(top.ImageIndex(d.Digest))
		}
	}
	t.Fatalf("the layout does not name %s", s.version)
	return nil
}

func checkConfig(t *testing.T, image v1.Image, s source, arch string) {
	t.Helper()
	c := must(image.ConfigFile())
	if c.OS != "linux" || c.Architecture != arch || !c.Created.Equal(s.time) {
		t.Errorf("for %s/%s of %v", c.OS, c.Architecture, c.Created)
	}
	if c.Config.User != "65532:65532" {
		t.Errorf("runs as %q", c.Config.User)
	}
	for name, want := range map[string]string{
		"title": "authd", "version": s.version, "revision": s.revision, "licenses": "Apache-2.0", "created": "2023-11-14T22:13:20Z",
		"source": projectURL, "documentation": projectURL + "/tree/main/docs",
	} {
		if got := c.Config.Labels["org.opencontainers.image."+name]; got != want {
			t.Errorf("label %s is %q, want %q", name, got, want)
		}
	}
}

// checkFiles unpacks the image's layer as a container engine would, and returns where.
func checkFiles(t *testing.T, image v1.Image, s source, arch string) string {
	t.Helper()
	root := t.TempDir()
	must(0, os.Chmod(root, 0o755))
	stream := mutate.Extract(image)
	defer stream.Close()
	for archive := tar.NewReader(stream); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(0, err)
		unpack(t, root, h, archive)
		owner := 0
		if strings.HasPrefix(h.Name, dataPath) {
			owner = userID
		}
		if h.Uid != owner || h.Gid != owner || h.Mode&^0o755 != 0 || h.Mode&0o022 != 0 || !h.ModTime.Equal(s.time) {
			t.Errorf("%s: owner %d:%d, mode %o, time %v", h.Name, h.Uid, h.Gid, h.Mode, h.ModTime)
		}
	}
	checkProgram(t, filepath.Join(root, programPath), arch)
	trusted := must(os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")))
	if n := bytes.Count(trusted, []byte("BEGIN CERTIFICATE")); n < 100 || !x509.NewCertPool().AppendCertsFromPEM(trusted) {
		t.Errorf("%d certificates", n)
	}
	notices := string(must(os.ReadFile(filepath.Join(root, "usr/share/doc/authd/THIRD-PARTY-LICENSES"))))
	for _, want := range []string{"==== std go", "==== modernc.org/sqlite v", "Permission is hereby granted", "The Go Authors"} {
		if !strings.Contains(notices, want) {
			t.Errorf("the licences that come along lack %q", want)
		}
	}
	return root
}

func unpack(t *testing.T, root string, h *tar.Header, content io.Reader) {
	t.Helper()
	name := filepath.Join(root, filepath.FromSlash(h.Name))
	switch h.Typeflag {
	case tar.TypeDir:
		must(0, os.Mkdir(name, fs.FileMode(h.Mode)))
	case tar.TypeReg:
		f := must(os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, fs.FileMode(h.Mode)))
		must(io.Copy(f, content))
		must(0, f.Close())
	default:
		t.Fatalf("%s is neither a file nor a folder", h.Name)
	}
	if os.Geteuid() == 0 {
		must(0, os.Chown(name, h.Uid, h.Gid))
	}
}

// checkProgram makes sure that the program needs nothing of its file system, and tells nothing of ours.
func checkProgram(t *testing.T, name, arch string) {
	t.Helper()
	program := must(elf.Open(name))
	defer program.Close()
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	if program.Machine != machine {
		t.Errorf("built for %v", program.Machine)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("wants a dynamic linker")
		}
	}
	home, _ := os.UserHomeDir()
	text := must(os.ReadFile(name))
	for _, local := range []string{home + "/", os.TempDir() + "/authd-release", "vcs.revision"} {
		if bytes.Contains(text, []byte(local)) {
			t.Errorf("has %q in it", local)
		}
	}
}

// checkBill makes sure that exactly one bill of materials refers to the image, and that it names what the program says to
// consist of.
func checkBill(t *testing.T, path layout.Path, subject v1.Hash, program string) {
	t.Helper()
	top := must(path.ImageIndex())
	var bills []spdxDocument
	for _, d := range must(top.IndexManifest()).Manifests {
		if d.ArtifactType != string(spdxMediaType) {
			continue
		}
		var m v1.Manifest
		must(0, json.Unmarshal(must(path.Bytes(d.Digest)), &m))
		if m.Subject == nil || m.Subject.Digest != subject {
			continue
		}
		var bill spdxDocument
		must(0, json.Unmarshal(must(path.Bytes(m.Layers[0].Digest)), &bill))
		bills = append(bills, bill)
		if config := must(path.Bytes(m.Config.Digest)); string(config) != "{}" {
			t.Errorf("the referrer's configuration is %s", config)
		}
	}
	if len(bills) != 1 {
		t.Fatalf("%d bills of materials refer to the image", len(bills))
	}
	checkSPDX(t, bills[0], program)
}

func checkSPDX(t *testing.T, bill spdxDocument, program string) {
	t.Helper()
	packages := make(map[string]spdxPackage)
	ids := map[string]bool{bill.ID: true}
	for _, p := range bill.Packages {
		if ids[p.ID] {
			t.Errorf("two are called %s", p.ID)
		}
		ids[p.ID], packages[p.Name] = true, p
		if p.Concluded == "" || p.Declared == "" {
			t.Errorf("%s has no licence", p.Name)
		}
	}
	for _, r := range bill.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("%v is about something else", r)
		}
	}
	sum := sha256.Sum256(must(os.ReadFile(program)))
	if got := packages["authd"].Checksums[0].Value; got != hex.EncodeToString(sum[:]) {
		t.Errorf("it is the bill of another program: %s", got)
	}
	info := must(buildinfo.ReadFile(program))
	if want := len(info.Deps) + 2; len(packages) != want || want < 50 {
		t.Errorf("%d packages, want %d", len(packages), want)
	}
	for _, m := range info.Deps {
		p := packages[m.Path]
		if p.Version != m.Version || !strings.Contains(p.Comment, m.Sum) || p.Refs[0].Locator != "pkg:golang/"+m.Path+"@"+m.Version {
			t.Errorf("%s %s is said to be %+v", m.Path, m.Version, p)
		}
	}
	if got := packages["std"]; got.Version != info.GoVersion || got.Refs[0].Locator != "pkg:golang/stdlib@"+info.GoVersion[2:] {
		t.Errorf("Go is said to be %+v", got)
	}
}

// must panics where a test cannot go on; the trace tells where.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

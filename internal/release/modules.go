package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// module is one whose code is in the program.
type module struct {
	Path    string
	Version string
	Sum     string    // of the module's files, as in go.sum
	licence []licence // of what is linked; filled by readLicences
}

// goModule is the name under which the standard library and the run time stand among the modules.
const goModule = "std"

// linked returns what is in a program, by its own account, sorted by path: the Go release first, authd itself not.
func linked(program string) ([]module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("reading what is linked into %s: %w", program, err)
	}
	modules := []module{{Path: goModule, Version: info.GoVersion}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced by %s: that cannot be released", m.Path, m.Replace.Path)
		}
		modules = append(modules, module{Path: m.Path, Version: m.Version, Sum: m.Sum})
	}
	slices.SortStableFunc(modules[1:], func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// folders tells where the source of a module's linked packages is.
type folders struct {
	root     string // of the module
	packages []string
}

// sources returns, for each module of which authd links a package on some platform, where that package's source is.
func sources(ctx context.Context, s source) (map[string]folders, error) {
	found := make(map[string]folders)
	for _, arch := range platforms {
		out, err := goCommand(ctx, s, arch, "list", "-deps", "-json=Dir,Standard,Module", "./cmd/authd")
		if err != nil {
			return nil, err
		}
		for dec := json.NewDecoder(strings.NewReader(out)); ; {
			var p struct {
				Dir      string
				Standard bool
				Module   *struct {
					Path, Dir string
					Main      bool
				}
			}
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading the list of packages: %w", err)
			}
			if p.Module == nil || p.Module.Main {
				continue
			}
			f := found[p.Module.Path]
			f.root = p.Module.Dir
			f.packages = append(f.packages, p.Dir)
			found[p.Module.Path] = f
		}
	}
	root, err := goCommand(ctx, s, platforms[0], "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	found[goModule] = folders{root: root}
	return found, nil
}

// upwards returns the folders from those of the packages up to the module's own, each once.
func (f folders) upwards() []string {
	seen := map[string]bool{f.root: true}
	for _, dir := range f.packages {
		for ; strings.HasPrefix(dir, f.root+string(filepath.Separator)); dir = filepath.Dir(dir) {
			seen[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

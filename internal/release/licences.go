package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/google/licensecheck"
)

// allowed are the licences under which authd, which is under Apache-2.0, may hand on what it links (SPDX identifiers). All
// of them ask that their text comes along, and no more; the image has it.
var allowed = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "blessing"}

// readByHand says of texts that no program recognises what somebody found in them, by their SHA-256: when a text changes,
// somebody has to read it again.
var readByHand = map[string][]string{
	// modernc.org/sqlite, LICENSE-SQLITE: public domain.
	"8438c9c89b849131ead81d5435cb97fcf052df5b0b286dda8a2d4c29e6cb3fd0": {"blessing"},
	// modernc.org/sqlite, LICENSE-3RD-PARTY.md: what its section 1, "linked into your program", lists. The MPL-2.0 in it is
	// of a module that only its build lists use, and that authd does not link.
	"4194f8e7119be72babd499db4f6f1f7547e36e8a7bffcb2b9c8df241b8f1576a": {"BSD-3-Clause", "MIT", "blessing"},
	// modernc.org/libc, LICENSE-3RD-PARTY.md: Go; musl, go-netdb and nixpkgs; and long lists of their authors.
	"f597097efe3d97021f89170746bd3a0fb9a8b6fb26b82043ed68a4e0283bee6c": {"BSD-3-Clause", "MIT"},
	// modernc.org/memory, LICENSE-LOGO: where its logo comes from, which is not linked.
	"5ae5bee3072a841376451b48d8cfcec7188e10543926d5870828d36c8a750dc5": {},
}

// licence is the text of one file.
type licence struct {
	file string   // relative to the module
	ids  []string // SPDX identifiers of what was found in it, sorted
	text string
}

// leastKnown is how much of a licence file must be text that is known, in percent. The rest is names and years.
const leastKnown = 75

// names of licence files. Those that only name authors or patents, and grant nothing, are not looked at.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// reportLicences prints the licence of each module that authd links.
func reportLicences(ctx context.Context, s source, w io.Writer) error {
	found, err := sources(ctx, s)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var problems []error
	for _, path := range slices.Sorted(maps.Keys(found)) {
		texts, err := readLicences(found[path])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\n", path, expression(texts))
	}
	return errors.Join(append(problems, table.Flush())...)
}

// readLicences returns the licences of what is linked from a module. All of them must be allowed, and there must be one.
func readLicences(f folders) ([]licence, error) {
	var found []licence
	var problems []error
	for _, dir := range f.upwards() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() || !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			l, err := readLicence(f.root, filepath.Join(dir, e.Name()))
			problems = append(problems, err)
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		problems = append(problems, errors.New("no licence file"))
	}
	return found, errors.Join(problems...)
}

func readLicence(root, name string) (licence, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return licence{}, err
	}
	file, err := filepath.Rel(root, name)
	if err != nil {
		return licence{}, err
	}
	l := licence{file: filepath.ToSlash(file), text: string(text)}
	sum := sha256.Sum256(text)
	if ids, known := readByHand[hex.EncodeToString(sum[:])]; known {
		l.ids = ids
		return l, nil
	}
	coverage := licensecheck.Scan(text)
	for _, m := range coverage.Match {
		l.ids = append(l.ids, m.ID)
	}
	slices.Sort(l.ids)
	l.ids = slices.Compact(l.ids)
	if coverage.Percent < leastKnown {
		return l, fmt.Errorf("%s: only %.0f %% of it is a known licence %q", l.file, coverage.Percent, l.ids)
	}
	for _, id := range l.ids {
		if !slices.Contains(allowed, id) {
			return l, fmt.Errorf("%s: %s is not among the allowed licences %q", l.file, id, allowed)
		}
	}
	return l, nil
}

// expression is the SPDX expression for texts that all hold.
func expression(texts []licence) string {
	var ids []string
	for _, l := range texts {
		ids = append(ids, l.ids...)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " AND ")
}

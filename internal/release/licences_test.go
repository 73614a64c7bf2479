package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that authd links has a licence that is allowed; CI fails on the first module that has not.
func TestLicencesOfWhatIsLinked(t *testing.T) {
	var report strings.Builder
	if err := reportLicences(t.Context(), source{folder: "../.."}, &report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"std ", "modernc.org/sqlite ", "github.com/golang-jwt/jwt/v5 "} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, report.String())
		}
	}
}

const isc = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`

const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
version.

This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even the implied
warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the GNU General Public License for more details.

You should have received a copy of the GNU General Public License along with this program. If not, see
<https://www.gnu.org/licenses/>.
`

func TestReadLicences(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string // of the expression, or of the error
	}{
		"one file":                     {map[string]string{"LICENSE": isc}, "ISC"},
		"British spelling, any suffix": {map[string]string{"licence.md": isc}, "ISC"},
		"none":                         {map[string]string{"README": isc}, "no licence file"},
		"only in code":                 {map[string]string{"license.go": isc}, "no licence file"},
		"not allowed":                  {map[string]string{"COPYING": gpl}, "is not among the allowed"},
		"not allowed beside allowed":   {map[string]string{"LICENSE": isc, "LICENSE.other": gpl}, "is not among the allowed"},
		"not allowed in one package":   {map[string]string{"LICENSE": isc, "a/b/LICENSE": gpl}, "is not among the allowed"},
		"not linked":                   {map[string]string{"LICENSE": isc, "cmd/LICENSE": gpl}, "ISC"},
		"made up":                      {map[string]string{"LICENSE": "You may look at this, if you ask nicely.\n"}, "is a known licence"},
		"with conditions of their own": {map[string]string{"LICENSE": isc + strings.Repeat("Not on Sundays, nor in December. ", 40)}, "is a known licence"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				name := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			found, err := readLicences(folders{root: root, packages: []string{filepath.Join(root, "a", "b")}})
			got := expression(found)
			if err != nil {
				got = err.Error()
			}
			if err != nil != strings.Contains(c.want, " ") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Every setting is said to take effect at one time or another, and a change of every field is seen: a new one fails here until
// somebody has thought about it.
func TestEverySettingHasAnEffect(t *testing.T) {
	known := effects()
	var base Config
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	base.bind(flags)
	base = Config{}
	fields := map[string]string{} // of Config, and the setting of each
	flags.VisitAll(func(f *pflag.Flag) {
		if _, ok := known[f.Name]; !ok {
			t.Errorf("%s: whether it takes effect with a reload is not said; see effects", f.Name)
		}
		delete(known, f.Name)
		before := base
		value := map[string]string{
			"bool": "true", "int": "7", "uint": "7", "float64": "0.7", "duration": "7s", "string": "x", "stringSlice": "x", "strings": "sqlite",
		}[f.Value.Type()]
		if err := f.Value.Set(value); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		differing := differ("", reflect.ValueOf(before), reflect.ValueOf(base))
		if len(differing) != 1 {
			t.Errorf("%s sets %q, want one field", f.Name, differing)
		}
		for _, name := range differing {
			fields[name] = f.Name
		}
		if changed := changedSettings(before, base); !slices.Equal(changed, []string{f.Name}) {
			t.Errorf("a change of %s is seen as one of %q", f.Name, changed)
		}
	})
	for name := range known {
		t.Errorf("%s is no setting", name)
	}
	for _, name := range leaves("", reflect.TypeFor[Config]()) {
		if fields[name] == "" {
			t.Errorf("no setting sets the field %s, so no reload would see its change", name)
		}
	}
}

// leaves are the exported fields of a struct, those of embedded structs in place of these.
func leaves(path string, s reflect.Type) (names []string) {
	for f := range s.Fields() {
		switch {
		case f.Anonymous:
			names = append(names, leaves(path+f.Name+".", f.Type)...)
		case f.IsExported():
			names = append(names, path+f.Name)
		}
	}
	return names
}

func differ(path string, a, b reflect.Value) (names []string) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		switch {
		case f.Anonymous:
			names = append(names, differ(path+f.Name+".", a.Field(i), b.Field(i))...)
		case f.IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			names = append(names, path+f.Name)
		}
	}
	return names
}

// The settings that wait for a restart in docs/operations.md are all but those it says a reload takes over.
func TestEffectsAreDocumented(t *testing.T) {
	page := readDoc(t, "operations.md")
	_, section, _ := strings.Cut(page, "\n## Changing settings without a restart\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]effect{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 3 || !strings.HasPrefix(cells[0], "`") {
			continue
		}
		for name := range strings.SplitSeq(cells[0], ", ") {
			documented[strings.Trim(name, "`")] = map[string]effect{"the value": onReload, "what is in the file": onReloadFile}[cells[1]]
		}
	}
	want := effects()
	maps.DeleteFunc(want, func(_ string, e effect) bool { return e == onRestart })
	if !maps.Equal(documented, want) {
		t.Errorf("docs/operations.md says %v, want %v", documented, want)
	}
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

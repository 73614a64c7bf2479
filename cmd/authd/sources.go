package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// settings are what `authd serve` can be told.
type settings struct {
	Config
	*sources
}

// newSettings registers the settings on cmd, to be read by load once the command line is parsed.
func newSettings(cmd *cobra.Command) *settings {
	s := &settings{}
	s.sources = newSources(cmd, s.bind)
	cmd.Flags().StringVar(&s.file, "config", "", "YAML file of settings, each named as its flag with _ for -")
	return s
}

// load completes the command line by the environment and the file, and reports every problem of all three at once.
func (s *settings) load(getenv func(string) string) (Config, error) {
	if s.file == "" {
		s.file = getenv("AUTHD_CONFIG")
	}
	err := s.read(getenv)
	s.complete()
	s.completeTraces(getenv, s.flags.Changed("trace-sample"))
	if err != nil {
		// A value that did not parse left its default, so checks on combinations would blame the wrong setting.
		return Config{}, err
	}
	return s.Config, s.Validate()
}

// sources are where settings come from: flags, the environment and a file. Problems are collected: a person who made
// three mistakes is told of three.
type sources struct {
	flags    *pflag.FlagSet
	file     string // empty for none
	problems []error
}

// newSources registers the flags that bind makes on cmd.
func newSources(cmd *cobra.Command, bind func(*pflag.FlagSet)) *sources {
	s := &sources{flags: pflag.NewFlagSet("settings", pflag.ContinueOnError)}
	s.flags.SortFlags, cmd.Flags().SortFlags = false, false // what belongs together stands together
	bind(s.flags)
	s.flags.VisitAll(func(f *pflag.Flag) {
		f.Value = &collecting{Value: f.Value, name: f.Name, problems: &s.problems}
		if f.DefValue == "0s" || f.DefValue == "[]" {
			f.DefValue = "" // the help need not say so
		}
	})
	cmd.Flags().AddFlagSet(s.flags)
	return s
}

// read gives each setting that no flag names the value from the environment or else from the file.
func (s *sources) read(getenv func(string) string) error {
	fromFile, err := readFile(s.file)
	if err != nil {
		s.problems = append(s.problems, err)
	}
	s.flags.VisitAll(func(f *pflag.Flag) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		values, inFile := fromFile[key]
		delete(fromFile, key)
		if f.Changed {
			return
		}
		if v := getenv("AUTHD_" + strings.ToUpper(key)); v != "" {
			s.set(f, "AUTHD_"+strings.ToUpper(key), v)
		} else if inFile {
			s.set(f, s.file+": "+key, values...)
		}
	})
	for _, key := range slices.Sorted(maps.Keys(fromFile)) {
		s.problems = append(s.problems, fmt.Errorf("%s: %s: no such setting", s.file, key))
	}
	return errors.Join(s.problems...)
}

func (s *sources) set(f *pflag.Flag, source string, values ...string) {
	f.Changed = true
	for _, v := range values {
		if err := f.Value.(*collecting).Value.Set(v); err != nil {
			s.problems = append(s.problems, fmt.Errorf("%s: %s: %w", source, f.Name, err))
		}
	}
}

// readFile returns the values of a YAML file of scalars and lists of scalars.
func readFile(name string) (map[string][]string, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(data, &nodes); err != nil {
		return nil, fmt.Errorf("config: %s: %w", name, err)
	}
	values := make(map[string][]string, len(nodes))
	var problems []error
	for key, node := range nodes {
		var list []string
		if err := node.Decode(&list); err == nil {
			values[key] = list
			continue
		}
		var one string
		if err := node.Decode(&one); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %s: want a value or a list of values", name, node.Line, key))
		}
		values[key] = []string{one}
	}
	return values, errors.Join(problems...)
}

// collecting lets the parser of the command line go on after a bad value.
type collecting struct {
	pflag.Value
	name     string
	problems *[]error
}

func (v *collecting) Set(s string) error {
	if err := v.Value.Set(s); err != nil {
		*v.problems = append(*v.problems, fmt.Errorf("--%s: %w", v.name, err))
	}
	return nil
}

package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/internal/docs"
)

var referencePages = flag.Bool("reference.pages", false, "write the tables of docs/settings.md and docs/commands.md")

func documentedRoot() *cobra.Command {
	return newRootCommand(environment{getenv: func(string) string { return "" }})
}

// docs/settings.md has every setting, with the words of the program.
func TestSettingsPage(t *testing.T) {
	root := documentedRoot()
	serve := find(t, root, "serve")
	titles := map[string]string{
		"ConnectionConfig": "Redis, etcd, Kubernetes", "ClusterConfig": "What several authd share", "UsersConfig": "Users",
		"LimitConfig": "Limits", "ExtAuthzConfig": "Envoy", "DPoPConfig": "Tokens that are bound to a key",
		"StatusListConfig": "Token Status Lists", "FactorsConfig": "Second factors", "OAuthConfig": "OAuth 2.0 and OpenID Connect",
		"PagesConfig": "Pages for people", "AuditConfig": "Audit log", "SSFConfig": "Shared Signals", "PasswordConfig": "Passwords",
		"TraceConfig": "Traces",
	}
	seen := map[string]bool{"help": true}
	var text strings.Builder
	cfg := reflect.ValueOf(new(Config)).Elem()
	for i := range cfg.NumField() {
		if !cfg.Type().Field(i).IsExported() {
			continue
		}
		part, ok := cfg.Field(i).Addr().Interface().(interface{ bind(fs *pflag.FlagSet) })
		if !ok {
			continue
		}
		name := cfg.Type().Field(i).Name
		flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
		part.bind(flags)
		fmt.Fprintf(&text, "\n## %s\n\n%s", cmp.Or(titles[name], strings.TrimSuffix(name, "Config")), settingsTable(flags, seen))
	}
	rest := settingsTable(serve.Flags(), seen)
	parts := map[string]string{"settings": "\n## The service, its tokens and its sessions\n\n" + rest + text.String() + "\n"}
	docs.Generated(t, "docs/settings.md", parts, *referencePages)
}

// settingsTable lists the settings that were not seen before, in the order in which the program has them.
func settingsTable(flags *pflag.FlagSet, seen map[string]bool) string {
	table := "| setting | default | reload | meaning |\n|---|---|---|---|\n"
	reload := map[effect]string{onReload: "yes", onReloadFile: "the file"}
	when := effects()
	flags.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		if !seen[f.Name] {
			table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.Name, defaultOf(f), reload[when[f.Name]], cell(f.Usage))
		}
		seen[f.Name] = true
	})
	return table
}

// defaultOf shows a default, if it is one that the meaning does not tell.
func defaultOf(f *pflag.Flag) string {
	switch value := strings.Trim(f.DefValue, "[]"); {
	case f.Name == "data":
		return "`~/.local/state/authd`"
	case value == "" || value == "false" || strings.Contains(f.Usage, "(default"):
		return ""
	default:
		if f.Value.Type() == "duration" {
			value = regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(value, "$1")
		}
		return "`" + value + "`"
	}
}

// cell is text in a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

// docs/commands.md has every command, with the words of the program.
func TestCommandsPage(t *testing.T) {
	root := documentedRoot()
	var text strings.Builder
	for _, group := range root.Groups() {
		fmt.Fprintf(&text, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID {
				describe(&text, cmd)
			}
		}
	}
	fmt.Fprint(&text, "\n## Else\n")
	for _, cmd := range root.Commands() {
		if cmd.GroupID == "" && cmd.IsAvailableCommand() {
			describe(&text, cmd)
		}
	}
	docs.Generated(t, "docs/commands.md", map[string]string{"commands": text.String() + "\n"}, *referencePages)
}

// describe writes about a command and those below it.
func describe(text *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(text, "\n### %s\n", cmd.CommandPath())
	leaves := []*cobra.Command{cmd}
	if cmd.HasAvailableSubCommands() {
		leaves = cmd.Commands()
		fmt.Fprintf(text, "\n%s.\n", cmd.Short)
	}
	for _, c := range leaves {
		if !c.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(text, "\n**`%s`**: %s.\n", strings.TrimSuffix(c.UseLine(), " [flags]"), c.Short)
		var flags []string
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || isSetting(c.Root(), f.Name) {
				return
			}
			value := ""
			if d := defaultOf(f); d != "" {
				value = " (default " + d + ")"
			}
			flags = append(flags, fmt.Sprintf("- `--%s`: %s%s\n", f.Name, f.Usage, value))
		})
		if len(flags) > 0 {
			fmt.Fprintf(text, "\n%s", strings.Join(flags, ""))
		}
	}
}

// isSetting reports whether authd serve has a flag of this name: docs/settings.md tells what it means.
func isSetting(root *cobra.Command, name string) bool {
	serve, _, err := root.Find([]string{"serve"})
	return err == nil && serve.Flags().Lookup(name) != nil
}

func find(t *testing.T, root *cobra.Command, path ...string) *cobra.Command {
	t.Helper()
	cmd, rest, err := root.Find(path)
	if err != nil || len(rest) > 0 {
		t.Fatalf("there is no command %q: %v", path, err)
	}
	return cmd
}

// The commands that the README lists are commands of the program, with their arguments.
func TestREADMECommands(t *testing.T) {
	root := documentedRoot()
	for line := range strings.Lines(docs.Text(t, "README.md", "", 1)) {
		command := strings.TrimSpace(line[:min(len(line), 32)])
		words := strings.Fields(command)
		cmd, rest, err := root.Find(words[1:])
		if words[0] != "authd" || err != nil || cmd == root || cmd.Args != nil && cmd.Args(cmd, rest) != nil {
			t.Errorf("%q is no command of authd (%v)", command, err)
		}
	}
}

// Commands that pages name in a sentence are commands of the program, and so are their flags.
func TestCommandsInSentences(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range append(pages, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`authd ([a-z][^`]*)`").FindAllStringSubmatch(string(text), -1) {
			if m[1] == "verify" { // a span of otelmw has this name
				continue
			}
			named++
			words := strings.Fields(m[1])
			root := documentedRoot()
			root.InitDefaultCompletionCmd()
			cmd, _, err := root.Find(words)
			if err != nil || !cmd.HasParent() {
				t.Errorf("%s: `authd %s` is no command: %v", page, m[1], err)
				continue
			}
			for _, word := range words {
				name, isFlag := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				if isFlag && name != "help" && cmd.Flag(strings.TrimRight(name, ".,…")) == nil {
					t.Errorf("%s: `authd %s`: %s has no flag %s", page, m[1], cmd.CommandPath(), word)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d commands are named", named)
	}
}

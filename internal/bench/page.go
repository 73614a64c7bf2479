package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// pageTemplate is docs/performance.md without its numbers.
//
//go:embed page.md.tmpl
var pageTemplate string

// writePage writes performance.md and its plots into a folder.
func (r *report) writePage(folder string) error {
	page, err := r.page()
	if err != nil {
		return err
	}
	files := map[string]string{"performance.md": page}
	for name, text := range r.plots {
		files[name] = text
	}
	for name, text := range files {
		//nolint:gosec // documentation is for everybody
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the page: %w", err)
		}
	}
	return nil
}

func (r *report) page() (string, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"table":             func(name string) (string, error) { return r.markdown(name) },
		"budgets":           func() string { return budgetTable(r.budgets).markdown() },
		"sessionsPerClient": func() int { return sessionsPerClient },
		"mixRate":           func() int { return full.mixRate },
		"short":             func() bool { return r.short },
		"missed":            func() int { return missed(r.budgets) },
		"all":               func() int { return len(r.budgets) },
		"began":             func() string { return r.began.UTC().Format("2 January 2006") },
		"machine":           func() string { return r.machine.String() },
	}).Parse(pageTemplate)
	if err != nil {
		return "", fmt.Errorf("reading the page's template: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", fmt.Errorf("writing the page: %w", err)
	}
	return b.String(), nil
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, %s, Redis %s", m.processor, m.cores, m.system, m.golang, m.redis)
}

func (r *report) markdown(name string) (string, error) {
	t, ok := r.tables[name]
	if !ok {
		return "", fmt.Errorf("no table %q", name)
	}
	return t.markdown(), nil
}

func (t table) markdown() string {
	var b strings.Builder
	rule := slices.Repeat([]string{"---:"}, len(t.columns))
	rule[0] = "---"
	for _, row := range slices.Concat([][]string{t.columns, rule}, t.rows) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

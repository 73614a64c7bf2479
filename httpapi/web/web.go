package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// Config configures Pages.
type Config struct {
	Site string           // what people sign in to, shown on every page. Required
	Now  func() time.Time // for "3 minutes ago"; default time.Now
}

// Pages renders pages. Its methods may be called concurrently.
type Pages struct {
	site      string
	templates map[string]*template.Template // by page
	assets    map[string]*Asset             // by name
}

// Page is one answer. Everything in it is escaped for where it stands.
type Page struct {
	Name    string // of the file templates/NAME.html
	Title   string // of the document, and its heading
	Data    any    // what the template shows
	User    string // who is signed in, if anybody: the header then has a button to sign out
	SignOut string // the path that the button sends its form to; default /logout
	Nav     []Link // of the header
	Wide    bool   // for tables
	Scripts []string
	// Next is a path of this origin to which the browser goes on by itself, at once. It is for the answer to a form from
	// which the way may lead to another origin: Chromium holds redirects of a form against the policy "form-action", and
	// would stop. The page must have a link to the same path.
	Next string
}

// Link leads to another page.
type Link struct {
	Title, Path string
	Current     bool // the page it stands on
}

// Field is one input of a form, with what belongs to it. See the template "field".
type Field struct {
	Name         string // in the form; also the element's id
	Label        string
	Type         string // text, password, …; default text
	Value        string // never of a password
	Autocomplete string // by the HTML standard, e.g. "current-password"
	InputMode    string // e.g. "numeric"
	Hint         string // what a good value is
	Error        string // why the last value was refused
	Max          int    // length in characters; 0 for no limit
	Optional     bool
	Focus        bool // gets the focus when the page opens
	ReadOnly     bool
}

// Notice is the data of the page "notice": a text, and a way on.
type Notice struct {
	Text   string
	More   string // the identifier of the request, say
	Link   string // a path; empty for none
	Action string // what the link says
}

// New reads all templates.
func New(c Config) (*Pages, error) {
	if c.Site == "" {
		return nil, fmt.Errorf("pages: site: required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Pages{site: c.Site, templates: make(map[string]*template.Template)}
	var err error
	if p.assets, err = readAssets(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	layout, err := template.New("").Funcs(p.functions(c.Now)).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("pages: %s: %w", file, err)
		}
		p.templates[name] = page
	}
	return p, nil
}

// functions are what templates may call.
func (p *Pages) functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"asset":  p.assetPath,
		"site":   func() string { return p.site },
		"ago":    func(t time.Time) string { return Ago(t, now()) },
		"date":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"device": Device,
		"join":   strings.Join,
	}
}

// Write sends a page. An error that comes before anything is sent leaves w untouched.
func (p *Pages) Write(w http.ResponseWriter, status int, page Page) error {
	t, ok := p.templates[page.Name]
	if !ok {
		return fmt.Errorf("page %q: there is no such template", page.Name)
	}
	for _, script := range page.Scripts {
		if p.assets[script] == nil {
			return fmt.Errorf("page %q: there is no script %q", page.Name, script)
		}
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout", page); err != nil {
		return fmt.Errorf("page %q: %w", page.Name, err)
	}
	protect(w.Header(), page)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		return fmt.Errorf("page %q: sending it: %w", page.Name, err)
	}
	return nil
}

// protect tells browsers what a page may do, which is little.
func protect(h http.Header, page Page) {
	policy := "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if len(page.Scripts) > 0 {
		policy += "; script-src 'self'"
	}
	h.Set("Content-Security-Policy", policy)
	// Not no-referrer, with which browsers would send "Origin: null" with the forms of their own origin.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cache-Control", "no-store")
}

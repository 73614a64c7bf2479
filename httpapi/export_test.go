package httpapi

import (
	"slices"
	"strings"
)

// The documents, as the tests hold the server against them.
func PublicDocument() []byte { return publicDocument }
func AdminDocument() []byte  { return adminDocument }

// IsPage tells whether a path is of a page, for people, which the documents do not have.
func IsPage(path string) bool {
	if strings.HasPrefix(path, "/assets/") {
		return true
	}
	p := new(public)
	return slices.ContainsFunc(slices.Concat(p.pageRoutes(), p.oauthRoutes(), p.factorPageRoutes()), func(r *route) bool { return r.page != nil && r.path == path })
}

// Routes lists "METHOD /path/{param}" for every route that is no page, sorted.
func (s *Server) Routes() []string {
	var routes []string
	for _, r := range s.site.Load().echo.Routes() {
		if IsPage(r.Path) {
			continue
		}
		parts := strings.Split(r.Path, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		routes = append(routes, r.Method+" "+strings.Join(parts, "/"))
	}
	slices.Sort(routes)
	return routes
}

// HeaderValue is what forward authentication makes of a claim.
func HeaderValue(s string) string { return headerValue(s) }

// Refuse lets nobody connect to a port any more that is open.
var Refuse = refuse

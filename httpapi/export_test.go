package httpapi

import (
	"slices"
	"strings"
)

// The documents, as the tests hold the server against them.
func PublicDocument() []byte { return publicDocument }
func AdminDocument() []byte  { return adminDocument }

// Routes lists "METHOD /path/{param}" for every route, sorted.
func (s *Server) Routes() []string {
	var routes []string
	for _, r := range s.site.echo.Routes() {
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

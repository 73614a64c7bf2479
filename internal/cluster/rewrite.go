package main

import (
	"path/filepath"
	"regexp"
	"strings"
)

// rewriter translates what a service says in its container into what is meant on this machine: names and addresses of
// services into loopback addresses, paths of mounts into the service's folder.
type rewriter struct {
	addresses map[string]string // by the name of a service, and by its address in the compose file
	published map[string]string // HOST:PORT on the host → the address where it is here
	own       string            // the service's own address; what it calls 127.0.0.1
	root      string            // folder that stands for the service's root folder
	targets   []string          // paths of mounts
}

var (
	hostWords = regexp.MustCompile(`127\.0\.0\.1:[0-9]+|[A-Za-z0-9_][A-Za-z0-9_.-]*(/[0-9]+\b)?`)
	portAlone = regexp.MustCompile(`^:[0-9]+$`)
	absolute  = regexp.MustCompile(`(^|[\s="':,\[@<>])(/[A-Za-z0-9_./-]+)`)
)

// text translates a file, an argument or a value.
func (r *rewriter) text(s string) string {
	if portAlone.MatchString(s) {
		return r.own + s
	}
	s = hostWords.ReplaceAllStringFunc(s, r.word)
	return absolute.ReplaceAllStringFunc(s, func(match string) string {
		i := strings.IndexByte(match, '/')
		return match[:i] + r.path(match[i:])
	})
}

func (r *rewriter) word(w string) string {
	if to, ok := r.addresses[w]; ok {
		return to
	}
	if port, ok := strings.CutPrefix(w, "127.0.0.1:"); ok {
		if to, ok := r.published[w]; ok {
			return to
		}
		return r.own + ":" + port
	}
	// A name may be followed by the path of a URL that begins with a digit.
	if name, rest, ok := strings.Cut(w, "/"); ok {
		if to, ok := r.addresses[name]; ok {
			return to + "/" + rest
		}
	}
	if w == "127.0.0.1" {
		return r.own
	}
	return w
}

// path translates one that is in a mount.
func (r *rewriter) path(p string) string {
	for _, target := range r.targets {
		if p == target || strings.HasPrefix(p, target+"/") {
			return filepath.Join(r.root, p)
		}
	}
	return p
}

func (r *rewriter) all(list []string) []string {
	translated := make([]string, len(list))
	for i, s := range list {
		translated[i] = r.text(strings.ReplaceAll(s, "$$", "$"))
	}
	return translated
}

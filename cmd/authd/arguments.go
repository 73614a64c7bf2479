package main

import (
	"regexp"
	"slices"
)

// dashed matches an identifier of 128 random bits that begins with a dash, as one in 64 does: of a session, a token or an
// account.
var dashed = regexp.MustCompile(`^-[A-Za-z0-9_][A-Za-z0-9_-]{20}$`)

// withIDs puts identifiers that look like options behind all options, where they are read as what they are, so that
// nobody who copies one from a list has to know about "--". The order of the others is kept.
func withIDs(args []string) []string {
	if slices.Contains(args, "--") || !slices.ContainsFunc(args, dashed.MatchString) {
		return args
	}
	var options, ids []string
	for _, a := range args {
		if dashed.MatchString(a) {
			ids = append(ids, a)
		} else {
			options = append(options, a)
		}
	}
	return slices.Concat(options, []string{"--"}, ids)
}

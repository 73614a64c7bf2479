package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/keys"
)

// sealing tells of the key-encryption keys of a process.
type sealing struct{ a *app }

// Sealing implements [httpapi.Sealing].
func (s sealing) Sealing(ctx context.Context) (told adminapi.Sealing) {
	keks, err := keys.ParseKEKs(*s.a.keks.Load())
	if err != nil { // not possible: the ring was opened with it
		return told
	}
	for _, k := range keks {
		told.Given = append(told.Given, k.ID())
	}
	if id, err := s.a.factors.SealedUnder(ctx); err == nil { // else their readiness says so
		told.Factors = id
	}
	return told
}

// tellSealing lists the key-encryption keys, and says which may go.
func tellSealing(out io.Writer, s *adminapi.Sealing) error {
	if s == nil {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nKEY-ENCRYPTION KEY\tSEALS HERE\tRING\tSECOND FACTORS")
	mark := func(is bool) string {
		if is {
			return "yes"
		}
		return "-"
	}
	ids := s.Given
	for _, id := range []string{s.Ring, s.Factors} { // one that this authd does not have: another has sealed with it since
		known := id == ""
		for _, given := range ids {
			known = known || given == id
		}
		if !known {
			ids = append(ids, id)
		}
	}
	for i, id := range ids {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, mark(i == 0), mark(id == s.Ring), mark(id == s.Factors))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, id := range s.Given[1:] {
		if id != s.Ring && id != s.Factors && s.Ring == s.Given[0] && (s.Factors == "" || s.Factors == s.Given[0]) {
			fmt.Fprintf(out, "%s seals nothing: it may go, unless it is to be the next. Backups that were sealed under it need it.\n", id)
		}
	}
	return nil
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// confirm shows what is about to happen and asks. Without a terminal to ask at, --yes must be given.
func confirm(cmd *cobra.Command, consequences string) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(in) {
		return errors.New(consequences + "\nnot confirmed: standard input is no terminal; repeat with --yes")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nGo on? [y/N] ", consequences)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("not confirmed, nothing changed")
	}
	return nil
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func joined(list []string) string { return strings.Join(list, ", ") }

func orElse(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/audit/logfile"
)

func newAuditCommand() *cobra.Command {
	group := &cobra.Command{Use: "audit", Short: "Check the audit log", GroupID: "operate"}
	group.AddCommand(&cobra.Command{
		Use:   "verify FILE...",
		Short: "Check that no line was changed, removed, inserted or moved; give the files oldest first",
		Args:  cobra.MinimumNArgs(1),
		RunE:  verifyAudit,
	})
	return group
}

func verifyAudit(cmd *cobra.Command, names []string) error {
	var chain logfile.Verifier
	for _, name := range names {
		before := chain.Report
		if err := verifyAuditFile(&chain, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		torn := ""
		if n := chain.Torn - before.Torn; n > 0 {
			torn = fmt.Sprintf(" but for %d that a crash cut off", n)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d lines, whole%s\n", name, chain.Lines-before.Lines, torn)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "the chain ends with %s\n", chain.Head)
	return err
}

func verifyAuditFile(chain *logfile.Verifier, name string) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return chain.Read(file)
}

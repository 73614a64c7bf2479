package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi/adminclient"
)

func newSessionCommand(env environment) *cobra.Command {
	group := &cobra.Command{Use: "session", Short: "List and end sessions", GroupID: "operate"}
	group.AddCommand(
		adminCommand(env, &cobra.Command{
			Use: "list NAME", Short: "List a user's live sessions, the most recently used first", Args: cobra.ExactArgs(1),
		}, listSessions),
		newSessionEndCommand(env),
	)
	return group
}

func listSessions(cmd *cobra.Command, args []string, c *adminclient.Client) error {
	sessions, err := c.Sessions(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tLAST USED\tADDRESS\tCLIENT\tDEVICE")
	for _, s := range sessions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.CreatedAt.Format(time.RFC3339), s.LastUsedAt.Format(time.RFC3339),
			s.Address, s.ClientID, s.UserAgent)
	}
	return w.Flush()
}

func newSessionEndCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "end (ID... | --user NAME)",
		Short: "End sessions; returns once no verifier within the revocation bound accepts their tokens",
	}
	user := cmd.Flags().String("user", "", "end all sessions of this user")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (len(args) == 0) == (*user == "") {
			return fmt.Errorf("name sessions or --user, and not both")
		}
		return nil
	}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		if *user != "" {
			if err := c.EndUserSessions(cmd.Context(), *user); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ended all sessions of %s\n", *user)
			return nil
		}
		for _, id := range args {
			if err := c.EndSession(cmd.Context(), id); err != nil {
				return fmt.Errorf("session %s: %w", id, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ended %s\n", id)
		}
		return nil
	})
}

func newRevokeCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke (jti|sid|sub|username|client_id) ID | revoke all",
		Short:   "Revoke tokens by token, session, user, client, or all of them",
		GroupID: "operate",
		Long: `Revoke makes every verifier refuse tokens by what they carry: one token (jti), one session (sid), all tokens of a user
(sub or username) or client (client_id) issued until now, or all tokens issued until now (all). Sessions named by it end
too. To take a signing key out of service, see "authd keys revoke".`,
		Args: cobra.RangeArgs(1, 2),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask before revoking all")
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		kind, id := args[0], ""
		if len(args) == 2 {
			id = args[1]
		}
		if kind == "kid" {
			return fmt.Errorf("use: authd keys revoke %s", id)
		}
		if kind == "all" && !*yes {
			if err := confirm(cmd, "This logs everybody out, everywhere."); err != nil {
				return err
			}
		}
		if err := c.Revoke(cmd.Context(), kind, id); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "revoked")
		return nil
	})
}

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
)

func newKeysCommand(env environment) *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "List, rotate, revoke and back up signing keys", GroupID: "operate"}
	group.AddCommand(
		adminCommand(env, &cobra.Command{Use: "list", Short: "List the signing keys, oldest first", Args: cobra.NoArgs}, listKeys),
		adminCommand(env, &cobra.Command{
			Use: "rotate", Short: "Let the standby key sign from now on, if verifiers know it already", Args: cobra.NoArgs,
		}, rotateKeys),
		newKeysRevokeCommand(env),
		newKeysBackupCommand(env),
		newKeysRestoreCommand(env),
	)
	return group
}

func listKeys(cmd *cobra.Command, _ []string, c *adminclient.Client) error {
	list, err := c.Keys(cmd.Context())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KID\tALG\tSTATE\tSINCE\tCREATED")
	for _, k := range list.Keys {
		since := "not confirmed yet"
		if k.Since != nil {
			since = k.Since.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, since, k.CreatedAt.Format(time.RFC3339))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return tellSealing(cmd.OutOrStdout(), list.Sealing)
}

func rotateKeys(cmd *cobra.Command, _ []string, c *adminclient.Client) error {
	kid, err := c.RotateKeys(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s signs from now on\n", kid)
	return err
}

func newKeysRevokeCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke KID",
		Short: "Take a key out of service in an emergency; says first what that breaks",
		Args:  cobra.ExactArgs(1),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what it would break")
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		planned, err := c.KeyBlastRadius(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		consequences := blastRadius(planned)
		if *dryRun {
			fmt.Fprintln(cmd.OutOrStdout(), consequences)
			return nil
		}
		if *yes {
			fmt.Fprintln(cmd.OutOrStdout(), consequences)
		} else if err := confirm(cmd, consequences); err != nil {
			return err
		}
		revoked, err := c.RevokeKey(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !revoked.Pending {
			fmt.Fprintf(cmd.OutOrStdout(), "revoked %s; %s signs\n", revoked.ID, revoked.Successor)
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "revoked %s: every verifier refuses its tokens; waiting for the leader to replace it\n", revoked.ID)
		return awaitReplaced(cmd, c, revoked.ID)
	})
}

// replaceTimeout is how long the command watches for the leader: longer than it takes to elect one.
const replaceTimeout = 30 * time.Second

// awaitReplaced returns once the leader has taken a revoked key out of service.
func awaitReplaced(cmd *cobra.Command, c *adminclient.Client, kid string) error {
	for began := time.Now(); time.Since(began) < replaceTimeout; {
		list, err := c.Keys(cmd.Context())
		if err != nil {
			return fmt.Errorf("the key is revoked; whether the leader has replaced it cannot be told: %w", err)
		}
		if signing, done := replaced(list.Keys, kid); done {
			fmt.Fprintf(cmd.OutOrStdout(), "the leader has replaced it; %s signs\n", signing)
			return nil
		}
		select {
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return fmt.Errorf("the key is revoked, but no leader has replaced it within %v; until one does, nobody gets new tokens (see /leader)",
		replaceTimeout)
}

// replaced tells whether a key is out of service, and which one signs.
func replaced(list []adminapi.Key, kid string) (signing string, done bool) {
	done = true
	for _, k := range list {
		switch {
		case k.ID == kid && k.State != "revoked":
			done = false
		case k.State == "active":
			signing = k.ID
		}
	}
	return signing, done
}

// blastRadius says in sentences what revoking a key does.
func blastRadius(r adminapi.KeyRevoked) string {
	lines := []string{fmt.Sprintf("Key %s is %s. Revoking it:", r.ID, r.State)}
	if r.TokensUntil != nil {
		lines = append(lines, fmt.Sprintf("- refuses every token it signed; honest ones would have lived until %s, and their holders must refresh.",
			r.TokensUntil.Format(time.RFC3339)))
	} else {
		lines = append(lines, "- refuses no honest token, as it has signed none that lives.")
	}
	if r.State == "active" {
		lines = append(lines, fmt.Sprintf("- lets %s sign from now on.", orElse(r.Successor, "a new key")))
	}
	if r.UnknownFor > 0 {
		lines = append(lines, fmt.Sprintf("- for up to %v, verifiers that cache the JWKS may refuse new tokens, as they do not know that key yet.",
			time.Duration(r.UnknownFor)*time.Second))
	}
	if r.RevokedUntil != nil {
		lines = append(lines, fmt.Sprintf("- keeps the key on the revocation set until %s.", r.RevokedUntil.Format(time.RFC3339)))
	}
	return strings.Join(lines, "\n")
}

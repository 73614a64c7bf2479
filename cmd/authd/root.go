package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (see the Makefile).
var version = ""

func newRootCommand(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "authd",
		Short: "Login, logout and token verification with JWTs that can be revoked",
		Long: `authd issues short-lived JWT access tokens and rotating refresh tokens, and revokes them everywhere at once.

  authd serve --demo        runs it on this machine, with a user to try
  authd user add alice      makes a user
  authd session list alice  shows where she is logged in

Every setting of "authd serve" is a flag, an environment variable (--access-ttl is AUTHD_ACCESS_TTL) or a line of the
file given by --config (access_ttl: 5m), the first of these that names it.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(
		&cobra.Group{ID: "service", Title: "The service:"},
		&cobra.Group{ID: "operate", Title: "Operating it (the server may be running or not):"},
		&cobra.Group{ID: "token", Title: "Looking at tokens:"},
	)
	root.AddCommand(
		newServeCommand(env),
		newElectorCommand(env),
		newReadyCommand(env),
		newUserCommand(env),
		newSessionCommand(env),
		newRevokeCommand(env),
		newKeysCommand(env),
		newBackupCommand(env),
		newRestoreCommand(env),
		newReloadCommand(env),
		newClientCommand(),
		newTokenCommand(env),
		newExplainCommand(env),
		newAuditCommand(),
		newBenchCommand(env),
		newVersionCommand(),
	)
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "authd %s %s %s/%s\n",
				buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// buildVersion falls back to the module's version, for a binary made by `go install`.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

func newTokenCommand(env environment) *cobra.Command {
	group := &cobra.Command{Use: "token", Short: "Inspect and verify access tokens", GroupID: "token"}
	group.AddCommand(
		&cobra.Command{
			Use:   "inspect [TOKEN | -]",
			Short: "Show what a token says, without checking it",
			Args:  cobra.MaximumNArgs(1),
			RunE:  inspectToken,
		},
		newTokenVerifyCommand(env),
	)
	return group
}

// inspectToken shows header and claims. It never prints the signature: what it prints can be pasted into a ticket.
func inspectToken(cmd *cobra.Command, args []string) error {
	raw, err := readToken(cmd, args)
	if err != nil {
		return err
	}
	t, err := token.InspectUnverified(raw)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, part := range []struct {
		name string
		data json.RawMessage
	}{{"header", t.Header}, {"claims", t.Claims}} {
		var text bytes.Buffer
		if err := json.Indent(&text, part.data, "", "  "); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(out, "%s %s\n", part.name, &text)
	}
	if t.Defect != nil {
		fmt.Fprintf(out, "a verifier would refuse it: %v\n", t.Defect)
	}
	fmt.Fprintln(out, "not verified; see: authd token verify")
	return nil
}

func newTokenVerifyCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [TOKEN | -]",
		Short: "Verify a token as a service would: signature, claims and revocation",
		Args:  cobra.MaximumNArgs(1),
	}
	issuer := cmd.Flags().String("issuer", orElse(env.getenv("AUTHD_ISSUER"), "http://127.0.0.1:8080"), "URL of the issuer")
	audience := cmd.Flags().String("audience", orElse(env.getenv("AUTHD_AUDIENCE"), "authd"), "name of the service in the \"aud\"")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		raw, err := readToken(cmd, args)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Second)
		defer cancel()
		guard, err := middleware.New(ctx, *issuer, middleware.Options{Audience: *audience})
		if err != nil {
			return err
		}
		defer guard.Close()
		claims, err := guard.Verify(ctx, raw)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid: subject %s, session %s, client %s, scope %q, expires %s\n",
			claims.Subject, claims.SessionID, claims.ClientID, claims.Scope, claims.ExpiresAt.Format(time.RFC3339))
		return err
	}
	return cmd
}

// readToken takes the token from standard input unless it is an argument, so that it need not stand in a shell's
// history.
func readToken(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return strings.TrimPrefix(args[0], "Bearer "), nil
	}
	if in, ok := cmd.InOrStdin().(*os.File); ok && isTerminal(in) {
		fmt.Fprintln(cmd.ErrOrStderr(), "paste the token, then press ctrl-D:")
	}
	data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<10))
	if err != nil {
		return "", fmt.Errorf("reading the token from standard input: %w", err)
	}
	raw := strings.TrimPrefix(strings.TrimSpace(string(data)), "Bearer ")
	if raw == "" {
		return "", errors.New("no token on standard input")
	}
	return raw, nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/identity"
)

func newUserCommand(env environment) *cobra.Command {
	group := &cobra.Command{Use: "user", Short: "Add, list, change and remove users", GroupID: "operate"}
	group.AddCommand(
		newUserAddCommand(env),
		newUserPasswdCommand(env),
		adminCommand(env, &cobra.Command{Use: "list", Short: "List all users", Args: cobra.NoArgs}, listUsers),
		userCommand(env, "disable", "Refuse a user's logins and end all sessions", (*adminclient.Client).DisableUser),
		userCommand(env, "enable", "Let a disabled user log in again", (*adminclient.Client).EnableUser),
		newUserForgiveCommand(env),
		newUserFactorsCommand(env),
		newUserResetFactorsCommand(env),
		userCommand(env, "remove", "Delete a user and end all sessions", (*adminclient.Client).RemoveUser),
	)
	return group
}

func newUserAddCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a user; the password comes from a prompt or standard input",
		Args:  cobra.ExactArgs(1),
	}
	roles := cmd.Flags().StringSlice("role", nil, "role of the user; may be repeated")
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		password, err := readPassword(cmd)
		if err != nil {
			return err
		}
		user, err := c.AddUser(cmd.Context(), adminapi.NewUser{Username: args[0], Password: password, Roles: *roles})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "added %s (sub %s)\n", user.Username, user.Subject)
		advise(cmd, password)
		return nil
	})
}

func newUserPasswdCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Change a user's password and end all sessions; it comes from a prompt or standard input",
		Args:  cobra.ExactArgs(1),
	}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		password, err := readPassword(cmd)
		if err != nil {
			return err
		}
		if err := c.SetPassword(cmd.Context(), args[0], password); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "password of %s changed, sessions ended\n", args[0])
		advise(cmd, password)
		return nil
	})
}

func advise(cmd *cobra.Command, password string) {
	if advice := identity.PasswordAdvice(password); advice != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", advice)
	}
}

func listUsers(cmd *cobra.Command, _ []string, c *adminclient.Client) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSUBJECT\tROLES\tSTATE\tCREATED")
	for after := ""; ; {
		page, err := c.Users(cmd.Context(), after, 500)
		if err != nil {
			return err
		}
		for _, u := range page.Users {
			state := "enabled"
			if u.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Username, u.Subject, joined(u.Roles), state, u.CreatedAt.Format(time.DateOnly))
		}
		if page.Next == "" {
			return w.Flush()
		}
		after = page.Next
	}
}

// userCommand is one that does a single thing to a user.
func userCommand(env environment, verb, short string, do func(*adminclient.Client, context.Context, string) error) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1)}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		if err := do(c, cmd.Context(), args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %sd\n", args[0], verb)
		return err
	})
}

// readPassword asks at a terminal, twice, and otherwise takes the first line of standard input. It never comes from an
// argument, which other users of the machine can see.
func readPassword(cmd *cobra.Command) (string, error) {
	if in, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		return promptPassword(in, cmd.ErrOrStderr())
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<12)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

func promptPassword(terminal *os.File, prompt io.Writer) (string, error) {
	var answers [2]string
	for i, question := range []string{"password: ", "again: "} {
		fmt.Fprint(prompt, question)
		answer, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		answers[i] = string(answer)
	}
	if answers[0] != answers[1] {
		return "", errors.New("the two passwords differ")
	}
	return answers[0], nil
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
)

func newExplainCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain [TOKEN | -]",
		Short:   "Tell why a token is refused: every check, its key, its session and what revokes it",
		GroupID: "operate",
		Long: `Explain asks authd what it makes of an access token, and goes on behind the first check that fails. It prints neither
the token nor its signature, so what it prints can be pasted into a ticket.

The token comes from standard input. It may be an argument, but then other users of this machine can read it in the list
of processes, and it stays in the history of the shell.

  authd explain <token.txt`,
		Args: cobra.MaximumNArgs(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "print the answer of the admin API")
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		raw, err := readToken(cmd, args)
		if err != nil {
			return err
		}
		if len(raw) > mostExplained {
			return fmt.Errorf("no token is that long: %d bytes, and authd looks at %d", len(raw), mostExplained)
		}
		// The API takes no bytes that are not text. What has such bytes is no token, and stays none.
		e, err := c.Explain(cmd.Context(), strings.ToValidUTF8(raw, "?"))
		if err != nil {
			return err
		}
		if *asJSON {
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(e)
		}
		return printExplanation(cmd.OutOrStdout(), e)
	})
}

// mostExplained is the longest token that the admin API takes, in bytes.
const mostExplained = 10 << 10

// printExplanation prints one table for each part. Texts that the token brings along are quoted.
func printExplanation(out io.Writer, e adminapi.Explanation) error {
	fmt.Fprintf(out, "%s: %s\n", strings.ToUpper(e.Verdict), e.Summary)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nCHECK\tRESULT\tDETAIL\n")
	for _, c := range e.Checks {
		result := strings.ReplaceAll(c.Result, "_", " ")
		if c.Result == "failed" {
			result = "FAILED"
		}
		printRow(w, c.Name, result, c.Detail)
	}
	if e.Claims != nil {
		if !e.Authentic {
			fmt.Fprint(w, "\nThe claims are not proven: anybody may have written them.\n")
		}
		fmt.Fprint(w, "\nCLAIM\tVALUE\n")
		for _, row := range claimRows(*e.Claims) {
			printRow(w, row...)
		}
	}
	if len(e.Revocations) > 0 {
		fmt.Fprint(w, "\nREVOKED BY\tRESULT\tWRITTEN\tEXPIRES\n")
		for _, r := range e.Revocations {
			printRow(w, r.Kind, r.Result, written(r, e.At), instant(r.Expires, e.At))
		}
	}
	fmt.Fprint(w, "\nBESIDES\tSTATE\tDETAIL\n")
	for _, row := range besides(e) {
		printRow(w, row...)
	}
	return w.Flush()
}

// printRow leaves no cell empty: a row that ends early would end the columns of a tabwriter with it.
func printRow(w io.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = orElse(c, "-")
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func claimRows(c adminapi.TokenClaims) [][]string {
	var rows [][]string
	for _, text := range []struct{ name, value string }{
		{"iss", c.Issuer}, {"sub", c.Subject}, {"client_id", c.ClientID}, {"scope", c.Scope}, {"jti", c.ID}, {"sid", c.SessionID},
	} {
		if text.value != "" {
			rows = append(rows, []string{text.name, strconv.Quote(text.value)})
		}
	}
	for i, name := range c.Audience {
		rows = append(rows, []string{"aud", strconv.Quote(name)})
		if i == 3 && len(c.Audience) > 4 {
			rows = append(rows, []string{"aud", fmt.Sprintf("and %d more", len(c.Audience)-4)})
			break
		}
	}
	for _, t := range []struct {
		name  string
		value *time.Time
	}{{"auth_time", c.AuthTime}, {"iat", c.IssuedAt}, {"nbf", c.NotBefore}, {"exp", c.ExpiresAt}} {
		if t.value != nil {
			rows = append(rows, []string{t.name, t.value.Format(time.RFC3339)})
		}
	}
	return rows
}

// written tells when an entry was written, and how that is known.
func written(r adminapi.TokenRevocation, now time.Time) string {
	switch {
	case r.Result == "none":
		return ""
	case r.WrittenAt == nil:
		return "unknown"
	}
	return instant(r.WrittenAt, now) + map[string]string{
		"heard": ", as heard", "session": ", by the session's record", "key": ", by the key's record", "cutoff": ", by the cut-off",
	}[r.WrittenBy]
}

// besides are the states of what the token refers to.
func besides(e adminapi.Explanation) (rows [][]string) {
	if k := e.Key; k != nil {
		detail := ""
		if k.Since != nil {
			detail = "since " + instant(k.Since, e.At)
		}
		if k.Until != nil {
			detail += "; " + map[string]string{
				"prepared": "may sign from ", "active": "signs until ", "retired": "published until ", "revoked": "kept until ",
			}[k.State] + instant(k.Until, e.At)
		}
		rows = append(rows, []string{"key", k.State, detail})
	}
	if s := e.Session; s != nil {
		detail := ""
		switch {
		case s.EndedAt != nil:
			detail = instant(s.EndedAt, e.At)
		case s.IdleUntil != nil:
			detail = fmt.Sprintf("used %s; until %s if idle, %s at most",
				instant(s.LastUsedAt, e.At), instant(s.IdleUntil, e.At), instant(s.AbsoluteUntil, e.At))
		}
		rows = append(rows, []string{"session", strings.ReplaceAll(s.State, "_", " "), detail})
	}
	state, detail := "stale", "never filled"
	if e.Mirror.Fresh {
		state = "fresh"
	}
	if e.Mirror.AsOf != nil {
		detail = fmt.Sprintf("complete as of %v ago", time.Duration(e.Mirror.AgeMS)*time.Millisecond)
	}
	return append(rows, []string{"mirror", state, detail})
}

// instant prints a time with how far away it is, as that is what one wants to know.
func instant(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	d := now.Sub(*t).Round(time.Second)
	if d < 0 {
		return fmt.Sprintf("%s (in %v)", t.Format(time.RFC3339), -d)
	}
	return fmt.Sprintf("%s (%v ago)", t.Format(time.RFC3339), d)
}

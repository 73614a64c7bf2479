package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// readyTimeout is longer than the server gives its own checks.
const readyTimeout = 3 * time.Second

// newReadyCommand asks /readyz. The container image has no other program that could.
func newReadyCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ready",
		Short:   "Tell by the exit code whether the running authd takes requests, for health checks",
		GroupID: "operate",
		Args:    cobra.NoArgs,
	}
	s := newSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := s.load(env.getenv)
		if err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		answer, err := askReady(cmd.Context(), cfg.AdminListen)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), answer)
		return err
	}
	return cmd
}

// askReady returns what /readyz answers, as an error when it is not that requests are taken.
func askReady(ctx context.Context, admin string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<12))
	if err != nil {
		return "", err
	}
	answer := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return "", errors.New("not ready: " + answer)
	}
	return answer, nil
}

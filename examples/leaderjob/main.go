// Command leaderjob runs another command on one machine of several: where the elector beside it says that it leads.
//
//	authd elector --election reports --backend redis --redis redis://127.0.0.1:6379 &
//	leaderjob -- ./make-reports --forever
//
// It shows how little a program needs for that: it asks GET / often, works while the answer is "self":true, and stops as
// soon as it is not, or does not come. It imports nothing of authd. See docs/elector.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	elector := flag.String("elector", "http://127.0.0.1:4040", "URL of the elector")
	every := flag.Duration("every", 200*time.Millisecond, "how often to ask; more often than a tenth of the lease")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: leaderjob [flags] -- COMMAND [ARGUMENT...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *elector, *every, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "leaderjob:", err)
		os.Exit(1)
	}
}

// run runs the command whenever this machine leads, until ctx ends or the command ends by itself.
func run(ctx context.Context, elector string, every time.Duration, command []string) error {
	fmt.Fprintln(os.Stderr, "leaderjob: asking", elector)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if leads(ctx, elector, every) {
			if err := work(ctx, elector, every, command); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// leads asks the elector. No answer in time means no: an elector that has died, or hangs, vouches for nothing.
func leads(ctx context.Context, elector string, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, elector, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var answer struct {
		Self bool `json:"self"`
	}
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&answer) == nil && answer.Self
}

// work runs the command while this machine leads.
func work(ctx context.Context, elector string, every time.Duration, command []string) error {
	leading, end := context.WithCancel(ctx)
	defer end()
	job := exec.CommandContext(leading, command[0], command[1:]...)
	job.Stdout, job.Stderr = os.Stdout, os.Stderr
	if err := job.Start(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "leaderjob: leading, started", command[0])
	ended := make(chan error, 1)
	go func() { ended <- job.Wait() }()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			if leading.Err() != nil {
				fmt.Fprintln(os.Stderr, "leaderjob: leading no more, ended", command[0])
				return nil
			}
			return errors.Join(fmt.Errorf("%s ended by itself", command[0]), err)
		case <-ticker.C:
			if !leads(ctx, elector, every) {
				end() // kills the command: another machine may begin soon
			}
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/internal/backup"
	"github.com/authd-project/authd/keys"
)

func newKeysBackupCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the key ring alone, wherever it is kept; it stays sealed under the key-encryption key",
		Args:  cobra.ExactArgs(1),
	}
	return adminCommand(env, cmd, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		return takeBackup(cmd, c, args[0], adminapi.BackupRequest{KeysOnly: true})
	})
}

func newKeysRestoreCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a key ring back into Redis, etcd or Kubernetes after it was lost there, with every authd stopped",
		Long: `Restore puts the key ring of a backup where the settings say that it is kept, and where there is none. While any authd runs
that has seen the ring within view-age (10 min) nothing needs to be restored: it puts back what it has, which is newer.

Tokens of keys that were made after the backup are refused from now on; those of older keys go on. A key that was revoked
after the backup is taken out of service by the next leader, which hears of it from the revocation set. Where that set was
lost as well, as with Redis that holds everything, restore nothing: the first authd to start makes a new ring.`,
		Args: cobra.ExactArgs(1),
	}
	s := newSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := s.load(env.getenv)
		if err != nil {
			return fmt.Errorf("settings:\n%w", err)
		}
		in, err := openBackup(cmd, args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		cfg.LogFormat, cfg.LogLevel = "text", "warn"
		return restoreRing(cmd.Context(), cfg, env, in, cmd.OutOrStdout())
	}
	return cmd
}

func restoreRing(ctx context.Context, cfg Config, env environment, in io.Reader, out io.Writer) (err error) {
	if !cfg.shared() {
		return errors.New("keys embedded: the ring is part of the data folder; see authd restore")
	}
	header, stored, err := ringOf(in)
	if err != nil {
		return err
	}
	a := &app{cfg: cfg, log: newLogger(cfg, env.stderr)}
	a.connections = &connections{cfg: cfg.ConnectionConfig, log: a.log}
	defer func() { err = errors.Join(err, a.connections.close()) }()
	codec, err := a.ringCodec()
	if err != nil {
		return err
	}
	if stored, err = keys.Unconfirm(stored); err != nil {
		return err
	}
	ring, err := codec.Unmarshal(stored)
	if err != nil {
		return err
	}
	store, err := a.openRing(nil, codec, cfg.keyPolicy())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ringTimeout)
	defer cancel()
	if err := keys.Restore(ctx, store, ring); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "restored the ring of %s, epoch %s, with %d signing keys, as term %d\n",
		header.MadeAt.Format(time.RFC3339), ring.Epoch, len(ring.Keys), ring.Term+1)
	return err
}

// ringOf returns the ring of a backup.
func ringOf(in io.Reader) (h backup.Header, stored []byte, err error) {
	_, err = backup.Read(in,
		func(found backup.Header) error { h = found; return nil },
		func(name string, content io.Reader) (err error) {
			if name == ringFile {
				stored, err = io.ReadAll(content)
			}
			return err
		})
	if err == nil && stored == nil {
		err = fmt.Errorf("the backup has no ring of its own: it was in the data folder (keys %s)", h.Keys)
	}
	return h, stored, err
}

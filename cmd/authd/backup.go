package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/internal/backup"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/sqldb"
	"github.com/authd-project/authd/keys"
)

// The files of a backup, named as in the data folder. The ring is a file of its own where several authd share it.
const (
	usersFile   = "users.db"
	factorsFile = "factors.db"
	stateFile   = "authd.db"
	ringFile    = "ring.json"
	hookFile    = "audit-webhook-secret"
)

// kekFile has the key-encryption key of an embedded ring, in the data folder. It is in no backup, and no request hands it out.
const kekFile = "kek"

// backups takes backups of what this process keeps. What others keep, such as Redis or PostgreSQL, is not its business, but
// for the key ring.
type backups struct {
	cfg    Config
	issuer string
	file   *boltfile.File
	ring   keys.Store
	codec  *keys.Codec
	kek    func() string // the text of the file that the codec seals with now
}

// Take implements [httpapi.Backups]. Each file is copied as it is at one moment, the accounts before the sessions: then a
// session whose account has changed meanwhile is one that ended too much, and never one that ended too little.
func (b *backups) Take(ctx context.Context, r adminapi.BackupRequest) (_ httpapi.Backup, err error) {
	t := &takenBackup{header: backup.Header{
		MadeAt: time.Now().UTC(), MadeBy: buildVersion(), Issuer: b.issuer, Sessions: b.cfg.where(), Keys: b.cfg.Keys,
	}}
	if t.header.KEK, err = kekID(b.kek()); err != nil {
		return nil, err
	}
	if t.dir, err = os.MkdirTemp(b.cfg.Data, ".backup-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("taking a backup: %w", err), t.Close())
		}
	}()
	if !r.KeysOnly {
		if err := b.copyFiles(ctx, t); err != nil {
			return nil, err
		}
	}
	if r.KeysOnly || b.cfg.shared() {
		if err := b.copyRing(ctx, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (b *backups) copyFiles(ctx context.Context, t *takenBackup) error {
	var databases []string
	if slices.Contains(b.cfg.Users.orDefault(), "sqlite") {
		databases = append(databases, usersFile)
	}
	if b.cfg.factorsURL() == "" {
		databases = append(databases, factorsFile)
	}
	for _, name := range databases {
		if err := sqldb.SnapshotSQLite(ctx, filepath.Join(b.cfg.Data, name), t.path(name)); err != nil {
			return err
		}
		t.names = append(t.names, name)
	}
	if err := b.file.Snapshot(t.path(stateFile)); err != nil {
		return err
	}
	t.names = append(t.names, stateFile)
	secret, err := os.ReadFile(webhookSecret(b.cfg.Data))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.write(hookFile, secret)
}

func (b *backups) copyRing(ctx context.Context, t *takenBackup) error {
	ring, version, err := b.ring.Load(ctx)
	if err != nil {
		return err
	}
	if version == "" {
		return errors.New("there is no key ring yet")
	}
	text, err := b.codec.Marshal(ring)
	if err != nil {
		return err
	}
	return t.write(ringFile, text)
}

func (a *app) openBackups(issuer string, file *boltfile.File) error {
	a.backups = &backups{cfg: a.cfg, issuer: issuer, file: file, ring: a.ring, codec: a.codec, kek: func() string { return *a.keks.Load() }}
	return removeOldBackups(a.cfg.Data)
}

// kekID names the key that seals.
func kekID(text string) (string, error) {
	keks, err := keys.ParseKEKs(text)
	if err != nil {
		return "", err
	}
	return keks[0].ID(), nil
}

// takenBackup is the copies in a folder of their own, beside what they are copies of: there is room for both or for none.
type takenBackup struct {
	header backup.Header
	dir    string
	names  []string
}

func (t *takenBackup) path(name string) string { return filepath.Join(t.dir, name) }

func (t *takenBackup) write(name string, text []byte) error {
	t.names = append(t.names, name)
	return os.WriteFile(t.path(name), text, 0o600)
}

// WriteTo implements [io.WriterTo].
func (t *takenBackup) WriteTo(to io.Writer) (int64, error) {
	counted := &counting{w: to}
	out, err := backup.NewWriter(counted, t.header)
	if err != nil {
		return counted.n, err
	}
	for _, name := range t.names {
		if err := addFile(out, name, t.path(name)); err != nil {
			return counted.n, err
		}
	}
	return counted.n, out.Close()
}

func addFile(out *backup.Writer, name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return out.Add(name, info.Size(), file)
}

// Close removes the copies.
func (t *takenBackup) Close() error { return os.RemoveAll(t.dir) }

type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// removeOldBackups removes what a process left behind that died while it took a backup, or at the very end of a restoration.
func removeOldBackups(data string) (err error) {
	for _, pattern := range []string{".backup-*", restoringFolder + "-done"} {
		left, globErr := filepath.Glob(filepath.Join(data, pattern))
		err = errors.Join(err, globErr)
		for _, dir := range left {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

func newBackupCommand(env environment) *cobra.Command {
	return adminCommand(env, &cobra.Command{
		Use:     "backup FILE",
		Short:   "Back up what this authd keeps, while it runs or not; - writes to standard output",
		GroupID: "operate",
		Long: `Backup copies all that this authd keeps in its data folder, as it is at one moment, into a new file: sessions, revocations,
users, second factors, what waits to be told to others, and the key ring, also where that is kept elsewhere. It stops
nobody's work. What Redis and PostgreSQL keep is theirs to back up.

The file is confidential: it holds password hashes, and who is logged in where. Keys and second factors in it are sealed
under the key-encryption key, which is NOT in it. Keep that key somewhere else; without it they are lost.`,
		Args: cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, c *adminclient.Client) error {
		return takeBackup(cmd, c, args[0], adminapi.BackupRequest{})
	})
}

// takeBackup writes a backup, and reads it at the same time, so that what it says to be whole is.
func takeBackup(cmd *cobra.Command, c *adminclient.Client, name string, r adminapi.BackupRequest) (err error) {
	out := cmd.OutOrStdout()
	if name != "-" {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
				err = errors.Join(err, os.Remove(name))
			}
		}()
		out = file
	}
	received, pipe := io.Pipe()
	var header backup.Header
	var files []backup.File
	read := make(chan error, 1)
	go func() {
		var err error
		files, err = backup.Read(received, func(h backup.Header) error { header = h; return nil },
			func(string, io.Reader) error { return nil })
		_, _ = io.Copy(io.Discard, received) // the zeros at the end of an archive
		read <- err
	}()
	err = c.Backup(cmd.Context(), r, io.MultiWriter(out, pipe))
	_ = pipe.Close() // never fails (io.Pipe)
	if err := errors.Join(err, <-read); err != nil {
		return err
	}
	tellBackup(cmd.ErrOrStderr(), name, header, files)
	return nil
}

// tellBackup says what was backed up, and what was not.
func tellBackup(w io.Writer, name string, h backup.Header, files []backup.File) {
	var parts []string
	for _, f := range files {
		parts = append(parts, fmt.Sprintf("%s (%d bytes)", f.Name, f.Size))
	}
	fmt.Fprintf(w, "backed up to %s, as of %s: %s\n", name, h.MadeAt.Format(time.RFC3339), strings.Join(parts, ", "))
	fmt.Fprintf(w, "The key-encryption key %s is NOT in it. Keep it elsewhere: without it no key and no second factor in the backup can be used.\n", h.KEK)
	if h.Sessions == "Redis" {
		fmt.Fprintln(w, "Sessions and revocations are in Redis, and not in it.")
	}
}

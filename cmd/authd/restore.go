package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/identity"
	identitysql "github.com/authd-project/authd/identity/sqlstore"
	"github.com/authd-project/authd/internal/backup"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	keysbolt "github.com/authd-project/authd/keys/boltstore"
	factorsql "github.com/authd-project/authd/mfa/sqlstore"
	revocationbolt "github.com/authd-project/authd/revocation/boltstore"
	sessionbolt "github.com/authd-project/authd/session/boltstore"
	statusbolt "github.com/authd-project/authd/statuslist/boltstore"
)

// restoringFolder is in a data folder while a backup is being restored to it. An authd that finds it does not start.
const restoringFolder = ".restoring"

// longestToken is above the life of any access token that any setting allows, leeway included.
const longestToken = 25 * time.Hour

// restoreOptions say what of a backup is to live on.
type restoreOptions struct {
	keepSessions, withoutFactors bool
}

func newRestoreCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Restore a backup to an empty data folder, as a beginning after everything in it was lost; - reads standard input",
		GroupID: "operate",
		Long: `Restore puts a backup into the data folder, which must be empty, and all of it or nothing.

A backup knows nothing of what came after it: logouts, revoked keys, changed passwords, removed users. So that no logout is
undone, every session ends, every access token that was issued until now is refused, and no signing key of the backup is used
again: everybody logs in anew. With --keep-sessions all that goes on where the backup stood. Then WHO LOGGED OUT AFTER THE
BACKUP IS LOGGED IN AGAIN, and a key that was revoked after it signs again.

Changes of accounts after the backup are lost either way: docs/backup.md says how to find them in the audit log.`,
		Args: cobra.ExactArgs(1),
	}
	s := newSettings(cmd)
	s.flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !commonSetting(f.Name) })
	var o restoreOptions
	cmd.Flags().BoolVar(&o.keepSessions, "keep-sessions", false, "accept that logouts and revocations after the backup are forgotten")
	cmd.Flags().BoolVar(&o.withoutFactors, "without-factors", false, "leave second factors out, where their key-encryption key is lost: users log in without, and enrol anew")
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
		r := &restoring{cfg: cfg, o: o, dir: filepath.Join(cfg.Data, restoringFolder), now: time.Now()}
		if err := r.run(cmd.Context(), in); err != nil {
			return fmt.Errorf("restoring %s to %s, which has nothing of it: %w", args[0], cfg.Data, err)
		}
		r.tell(cmd.OutOrStdout())
		return nil
	}
	return cmd
}

// openBackup opens a file to restore from; - is standard input.
func openBackup(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

// restoring is one restoration.
type restoring struct {
	cfg Config
	o   restoreOptions
	dir string // where the files are until all of them are good
	now time.Time

	header backup.Header
	names  []string
	cutOff time.Time
	ended  int
}

// run unpacks the backup beside where it is to go, checks and prepares all of it, and moves it into place. What is left by a
// process that dies in between is known by its folder, and gone with the next attempt.
func (r *restoring) run(ctx context.Context, in io.Reader) (err error) {
	if err := r.refuseRunning(ctx); err != nil {
		return err
	}
	if err := r.makeRoom(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.clean())
		}
	}()
	if _, err := backup.Read(in, r.begin, r.store); err != nil {
		return err
	}
	if !slices.Contains(r.names, stateFile) {
		return errors.New("it has nothing but a key ring: see authd keys restore")
	}
	if err := errors.Join(r.checkDatabases(ctx), r.prepareState(ctx)); err != nil {
		return err
	}
	return r.moveIn()
}

// refuseRunning refuses while an authd answers where this one would: it may be using a folder that somebody has emptied.
func (r *restoring) refuseRunning(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", r.cfg.AdminListen)
	if err != nil {
		return nil // nobody is there
	}
	return errors.Join(fmt.Errorf("something answers on admin-listen %s: stop authd first", r.cfg.AdminListen), conn.Close())
}

// makeRoom makes the folder, and in it the one that says what is going on.
func (r *restoring) makeRoom() error {
	if err := os.MkdirAll(r.cfg.Data, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(r.dir); err == nil { // what was left by a process that died
		if err := r.clean(); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(r.cfg.Data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != kekFile {
			return fmt.Errorf("the folder is not empty: it has %s. Move what is there away, and keep it", e.Name())
		}
	}
	return os.Mkdir(r.dir, 0o700)
}

// restorable are the files that a backup may have, in the order in which they get into place: the one without which authd
// does not start comes last.
func restorable() []string {
	return []string{usersFile, factorsFile, hookFile, stateFile}
}

// clean removes what this or an earlier attempt has put there.
func (r *restoring) clean() (err error) {
	for _, name := range restorable() {
		if _, statErr := os.Lstat(filepath.Join(r.dir, "moved-"+name)); statErr == nil {
			err = errors.Join(err, os.Remove(filepath.Join(r.cfg.Data, name)))
		}
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

func (r *restoring) begin(h backup.Header) error {
	r.header = h
	return nil
}

// store unpacks one file.
func (r *restoring) store(name string, content io.Reader) error {
	switch {
	case name == ringFile: // of a store that is not in the data folder
		return nil
	case name == factorsFile && r.o.withoutFactors:
		return nil
	case !slices.Contains(restorable(), name):
		return fmt.Errorf("%w: %s has put %s into it", backup.ErrNewer, r.header.MadeBy, name)
	}
	if _, err := os.Lstat(filepath.Join(r.cfg.Data, name)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is in the folder and in the backup: move yours away", name), err)
	}
	file, err := os.OpenFile(filepath.Join(r.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	r.names = append(r.names, name)
	return errors.Join(err, file.Sync(), file.Close())
}

// checkDatabases opens the databases as authd would: they are whole, and not from a newer authd.
func (r *restoring) checkDatabases(ctx context.Context) (err error) {
	for _, name := range r.names {
		path := filepath.Join(r.dir, name)
		var opened io.Closer
		switch name {
		case usersFile:
			hasher, hasherErr := identity.NewHasher(identity.HasherConfig{})
			if hasherErr != nil {
				return hasherErr
			}
			opened, err = identitysql.OpenSQLite(ctx, path, identitysql.Config{Hasher: hasher, Release: buildVersion()})
		case factorsFile:
			opened, err = factorsql.OpenSQLite(ctx, path, factorsql.Config{Release: buildVersion()})
		default:
			continue
		}
		if err != nil {
			return err
		}
		if err := opened.Close(); err != nil {
			return err
		}
	}
	return nil
}

// prepareState makes of the state of then one to begin with now.
func (r *restoring) prepareState(ctx context.Context) (err error) {
	file, err := boltfile.Open(filepath.Join(r.dir, stateFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Upgrade(ctx, boltfile.Schema{Steps: fileSteps(), Release: buildVersion()}); err != nil {
		return err
	}
	if err := statusbolt.Forget(ctx, file); err != nil {
		return err
	}
	if r.o.keepSessions {
		_, err := revocationbolt.Restored(ctx, file, time.Time{}, time.Time{})
		return errors.Join(err, keysbolt.Restored(ctx, file, keys.Unconfirm))
	}
	sessions, err := sessionbolt.Open(file, sessionbolt.Options{})
	if err != nil {
		return err
	}
	if r.ended, err = sessions.EndAll(ctx); err != nil {
		return err
	}
	if r.cutOff, err = revocationbolt.Restored(ctx, file, r.now, r.now.Add(longestToken)); err != nil {
		return err
	}
	return keysbolt.Restored(ctx, file, keys.Abandon)
}

// moveIn puts the files into place, noting each one first. It removes the sign of what is going on at the end, so that an
// authd starts with all of them or not at all.
func (r *restoring) moveIn() error {
	for _, name := range restorable() {
		if !slices.Contains(r.names, name) {
			continue
		}
		if err := os.WriteFile(filepath.Join(r.dir, "moved-"+name), nil, 0o600); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.cfg.Data, name)); err != nil {
			return err
		}
	}
	if err := syncFolder(r.cfg.Data); err != nil {
		return err
	}
	if err := os.Rename(r.dir, r.dir+"-done"); err != nil { // at once, as a folder with files in it cannot be removed
		return err
	}
	return errors.Join(os.RemoveAll(r.dir+"-done"), syncFolder(r.cfg.Data))
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// refuseUnfinished refuses a data folder that a restoration has left half-way.
func refuseUnfinished(data string) error {
	if _, err := os.Stat(filepath.Join(data, restoringFolder)); err == nil {
		return fmt.Errorf("a restoration to %s did not come to its end: run authd restore again", data)
	}
	return nil
}

// tell says what was restored, and what that means.
func (r *restoring) tell(w io.Writer) {
	fmt.Fprintf(w, "restored the backup of %s, made by authd %s: %s\n",
		r.header.MadeAt.Format(time.RFC3339), r.header.MadeBy, strings.Join(r.names, ", "))
	if r.o.keepSessions {
		fmt.Fprintln(w, "WARNING: sessions go on as they were then. Who logged out after the backup is logged in again; keys that were revoked after it sign again.")
	} else {
		fmt.Fprintf(w, "%d sessions ended; every token issued before %s is refused, and no signing key of the backup is used again.\n",
			r.ended, r.cutOff.UTC().Format(time.RFC3339))
	}
	fmt.Fprintln(w, "Accounts, passwords and second factors are as they were then: see docs/backup.md for what to look at.")
	own := r.cfg.KEKFile == filepath.Join(r.cfg.Data, kekFile)
	if _, err := os.Stat(r.cfg.KEKFile); errors.Is(err, fs.ErrNotExist) && (!own || r.o.keepSessions || slices.Contains(r.names, factorsFile)) {
		fmt.Fprintf(w, "Put the key-encryption key %s at %s before you start authd.\n", r.header.KEK, r.cfg.KEKFile)
	}
	if r.header.Keys != "embedded" {
		fmt.Fprintf(w, "The key ring of then, of %s, was left out: see authd keys restore.\n", r.header.Keys)
	}
}

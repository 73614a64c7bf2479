package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"
	clientv3 "go.etcd.io/etcd/client/v3"
	_ "modernc.org/sqlite"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/schema"
	"github.com/authd-project/authd/internal/testenv"
)

// stampFile says in a data folder's authd.db that another release has used it.
func stampFile(t *testing.T, data string, s schema.Stamp) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(data, "authd.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return tx.Bucket([]byte("schema")).Put([]byte("stamp"), text)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stampSQL adds migrations of another release, and what it says of them.
func stampSQL(t *testing.T, driver, url, table, says string) {
	t.Helper()
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`DELETE FROM ` + table + ` WHERE version = 0 OR version > 90`,
		`INSERT INTO ` + table + ` VALUES (99, '0099_later', 0)`,
		`INSERT INTO ` + table + ` VALUES (0, '` + says + `', 0)`,
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

// content returns every file of a folder, but for the sum of the embedded file, which is written whenever that is closed.
func content(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "authd.db.sum" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(e.Name() + "\n" + string(text) + "\n")
	}
	return all.String()
}

// refuses starts authd, which must end and say what to start instead.
func refuses(t *testing.T, what, where string, args ...string) (said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience) // or it would serve for ever
	defer cancel()
	out, err := command(ctx, "", append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--issuer", "http://127.0.0.1:1",
	}, args...)...)
	for _, told := range []string{where, "stored by a newer release", "start authd 9.9.9, or the release before it"} {
		if err == nil || !strings.Contains(out, told) {
			t.Errorf("%s: %v, want %q in\n%s", what, err, told, out)
		}
	}
	return out
}

// A data folder that the release after the next one has used is refused, with nothing changed; one of the next is not.
func TestFolderOfALaterRelease(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if out, err := command(t.Context(), alicesPassword, "user", "add", "alice", "--data", data, "--admin-listen", "127.0.0.1:1"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	users, factors := "file:"+filepath.Join(data, "users.db"), "file:"+filepath.Join(data, "factors.db")

	stampFile(t, data, schema.Stamp{Version: 2, Needs: 1, Release: "9.9.9"})
	stampSQL(t, "sqlite", users, "schema_migrations", "0000 version 99 needs 3, by 9.9.9")
	stampSQL(t, "sqlite", factors, "factor_migrations", "0000 version 99 needs 1, by 9.9.9")
	s := serve(t, data)
	s.login(t, "alice", alicesPassword)
	s.terminate(t)

	stampSQL(t, "sqlite", users, "schema_migrations", "0000 version 99 needs 4, by 9.9.9")
	refuses(t, "users", "users.db", "--data", data)
	stampSQL(t, "sqlite", users, "schema_migrations", "0000 version 99 needs 3, by 9.9.9")
	stampSQL(t, "sqlite", factors, "factor_migrations", "0000 version 99 needs 2, by 9.9.9")
	refuses(t, "factors", "factors.db", "--data", data)

	stampFile(t, data, schema.Stamp{Version: 3, Needs: 2, Release: "9.9.9"})
	before := content(t, data)
	said := refuses(t, "file", "authd.db", "--data", data)
	told := strings.NewReplacer(data, "/var/lib/authd", "9.9.9", "1.6.0").Replace(said)
	told = regexp.MustCompile(`this authd \S+ knows`).ReplaceAllString(told, "this authd 1.4.0 knows")
	if page := docs.File(t, "docs/upgrades.md", "refusal"); strings.Join(strings.Fields(told), " ") != strings.Join(strings.Fields(page), " ") {
		t.Errorf("it says\n%s\nbut docs/upgrades.md has\n%s", told, page)
	}
	if content(t, data) != before {
		t.Error("a folder that is refused was changed")
	}
}

// So is what several share.
func TestServersOfALaterRelease(t *testing.T) {
	t.Parallel()
	addr, etcd := testenv.Redis(t), testenv.Etcd(t).Addr
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	users := testenv.NewPostgres(t).Database(t, "")
	args := []string{"--redis", "redis://" + addr, "--kek-file", newKEK(t), "--users", users}
	s := serve(t, t.TempDir(), append(args, "--issuer", "http://127.0.0.1:1")...)
	s.terminate(t)
	data := func() []string { return append(args, "--data", t.TempDir()) }

	stampSQL(t, "pgx", users, "schema_migrations", "0000 version 99 needs 4, by 9.9.9")
	refuses(t, "PostgreSQL", "user database", data()...)
	stampSQL(t, "pgx", users, "schema_migrations", "0000 version 99 needs 3, by 9.9.9")

	ring, err := client.HGet(t.Context(), "authd:keys", "value").Result()
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(ring, `{"format":1,`, `{"format":2,"by":"9.9.9","more":[],`, 1)
	if later == ring {
		t.Fatalf("the ring is %.60s", ring)
	}
	if err := client.HSet(t.Context(), "authd:keys", "value", later).Err(); err != nil {
		t.Fatal(err)
	}
	refuses(t, "ring in Redis", "keys redis", data()...)
	if now := client.HGet(t.Context(), "authd:keys", "value").Val(); now != later {
		t.Errorf("the ring that is refused was changed to %.60s", now)
	}
	if _, err := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{etcd}}).Put(t.Context(), "authd/keys", "1.x\n"+later); err != nil {
		t.Fatal(err)
	}
	refuses(t, "ring in etcd", "keys etcd", append(data(), "--etcd", "http://"+etcd, "--election", "etcd", "--keys", "etcd")...)

	if err := client.HSet(t.Context(), "authd:keys", "value", ring).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), "{authd:rev}:schema", "version", 3, "needs", 2, "release", "9.9.9").Err(); err != nil {
		t.Fatal(err)
	}
	before := client.DBSize(t.Context()).Val()
	refuses(t, "Redis", "redis: {authd:rev}:schema", data()...)
	if now := client.DBSize(t.Context()).Val(); now != before {
		t.Errorf("Redis had %d keys and has %d", before, now)
	}
}
